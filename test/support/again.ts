import { cpSync, lstatSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Crew } from "../../src/agents/crew.js";
import { openTestStore, temporaryFolder } from "./database.js";
import { type Seeded, seededApp } from "./seeded.js";

/** A seeded project that stories use one after the other; each finds it as it was seeded. */
export interface Again {
  /** The project. It is to be told what may have changed it. */
  app(): Promise<Seeded>;
  changed(): void;
  end(): Promise<void>;
}

/** Puts files and the database back, which is much faster than to seed; panes are opened anew if a story changed them. */
export function again(...kind: Parameters<typeof seededApp>): Again {
  let held: { app: Seeded; copy: ReturnType<typeof temporaryFolder>; panes: string[] } | undefined;
  let clean = true;

  async function end(): Promise<void> {
    await held?.app.end();
    held?.copy.remove();
    held = undefined;
  }

  async function seed() {
    const app = await seededApp(...kind);
    const copy = temporaryFolder();
    held = { app, copy, panes: await panesOf(app) };
    await onFiles(app, () => copyFiles(app.folder, copy.path));
    return held;
  }

  return {
    async app() {
      if (held !== undefined && !clean) {
        const { app, copy, panes } = held;
        if (await keepPanes(app, panes)) {
          await onFiles(app, () => {
            empty(app.folder);
            copyFiles(copy.path, app.folder);
          });
        } else await end();
      }
      clean = true;
      return (held ?? (await seed())).app;
    },
    changed() {
      clean = false;
    },
    end,
  };
}

const crewOf = (app: Seeded): Promise<Crew> => app.world.openCrew(app.context, app.request);

/** What tells whether a pane is as it was: its program, its names, and how much was typed into it. */
async function panesOf(app: Seeded): Promise<string[]> {
  const { tmux } = await crewOf(app);
  const shown = [
    "pane_id",
    "pane_pid",
    "session_name",
    "window_name",
    "pane_title",
    "pane_current_command",
    "cursor_y",
  ];
  const format = shown.map((name) => `#{${name}}`).join(" ");
  return (await tmux.run([["list-panes", "-a", "-F", format]])).stdout.split("\n").filter(Boolean);
}

/** Ends the panes that were opened since; false if the others are not as they were. */
async function keepPanes(app: Seeded, panes: readonly string[]): Promise<boolean> {
  const { tmux } = await crewOf(app);
  const now = await panesOf(app);
  if (!panes.every((pane) => now.includes(pane))) return false;
  for (const pane of now.filter((one) => !panes.includes(one))) {
    await tmux.run([["kill-pane", "-t", pane.split(" ", 1)[0] ?? ""]]);
  }
  return true;
}

async function onFiles(app: Seeded, work: () => void): Promise<void> {
  await app.context.store.close();
  work();
  const store = await openTestStore(join(app.folder, "mu.db"));
  Object.assign(app.context, { store });
  app.store = store;
}

function copyFiles(from: string, to: string): void {
  const filter = (path: string) => !lstatSync(path).isSocket();
  cpSync(from, to, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true, filter });
}

/** Takes away what is in a folder but sockets, and the folder that shells are in. */
function empty(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isSocket()) continue;
    if (entry.name === "project") empty(path);
    else rmSync(path, { recursive: true, force: true });
  }
}
