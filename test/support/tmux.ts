import { execFileSync } from "node:child_process";
import { mkdtempSync, realpathSync } from "node:fs";
import { describe } from "vitest";
import { pollUntil, systemClock } from "../../src/clock.js";
import { execProgram } from "../../src/exec.js";
import type { Run } from "../../src/tmux/run.js";
import { createTmux, type Tmux } from "../../src/tmux/tmux.js";
import { dialect, removeTree } from "./database.js";

export interface PrivateTmux {
  tmux: Tmux;
  /** A fresh folder; also $HOME and $TMUX_TMPDIR of the server. */
  dir: string;
  env: Record<string, string>;
  /** Another client of the same server, as another process would have it. */
  client(options?: { env?: Record<string, string>; run?: Run }): Tmux;
  /** tmux as a person types it, on this server. */
  raw(...args: string[]): Promise<string>;
  dispose(): Promise<void>;
}

const hasTmux = isInstalled();

/** Stories that need a real tmux, on SQLite alone; skipped, and saying so, where there is none. */
export function describeTmux(name: string, stories: () => void): void {
  if (dialect !== "sqlite") return;
  const title = hasTmux ? name : `${name} (skipped: tmux is not installed)`;
  describe.skipIf(!hasTmux)(title, { timeout: 60_000 }, stories);
}

/** A server of the test's own: its socket, its $TMUX_TMPDIR, nobody's configuration. It starts with its first pane. */
export function privateTmux(): PrivateTmux {
  // Not os.tmpdir(): a socket's path may have about 100 bytes, and macOS's is long.
  const dir = realpathSync(mkdtempSync("/tmp/mu-t-"));
  const env = {
    PATH: process.env.PATH ?? "/usr/bin:/bin",
    HOME: dir,
    TMUX_TMPDIR: dir,
    SHELL: "/bin/sh",
    TERM: "xterm-256color",
    LANG: "C.UTF-8",
    MU_TMUX_SOCKET: "t",
  };
  const client: PrivateTmux["client"] = (options = {}) =>
    createTmux({ exec: execProgram, env: { ...env, ...options.env }, ...(options.run && { run: options.run }) });
  const raw = async (...args: string[]) => (await execProgram("tmux", ["-u", "-L", "t", ...args], { env })).stdout;
  return {
    tmux: client(),
    dir,
    env,
    client,
    raw,
    dispose: async () => {
      await raw("kill-server");
      removeTree(dir);
    },
  };
}

/** Waits for what a program in a pane is about to do; fails with `what` after 20 s. */
export async function eventually<T>(what: string, once: () => Promise<T | undefined | false>): Promise<T> {
  const turn = async () => (await once()) || undefined;
  const found = await pollUntil(systemClock, turn, { everyMs: 20, timeoutMs: 20_000 });
  if (found === undefined) throw new Error(`never happened: ${what}`);
  return found;
}

/** A pane that shows everything it reads, and nothing else. */
export function catPane(tmux: Tmux, dir: string, session = "mu-demo") {
  return tmux.openPane({ session, window: "cat", cwd: dir, argv: ["cat"] });
}

function isInstalled(): boolean {
  try {
    execFileSync("tmux", ["-V"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
