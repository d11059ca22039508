import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { latestAgentRow } from "../src/agents/agent.js";
import type { Crew } from "../src/agents/crew.js";
import { readAgent } from "../src/agents/files.js";
import { appendSpool, spoolPath } from "../src/agents/spool.js";
import { createPaint } from "../src/cli/paint.js";
import { closeAgent } from "../src/crew/close.js";
import { spawnAgent } from "../src/crew/spawn.js";
import { Fault } from "../src/errors.js";
import { execute } from "../src/operations/execute.js";
import { findOperation } from "../src/operations/index.js";
import { createWorkspace } from "../src/workspaces/create.js";
import { leaveWorkspace } from "../src/workspaces/free.js";
import { parseCommand } from "./support/command.js";
import { type Seeded, seededApp } from "./support/seeded.js";
import { describeTmux } from "./support/tmux.js";

const DAMAGES: Record<string, (path: string, bytes: Buffer) => void> = {
  "cut off": (path, bytes) => writeFileSync(path, bytes.subarray(0, bytes.length / 10)),
  emptied: (path) => writeFileSync(path, ""),
  "replaced by garbage": (path) =>
    writeFileSync(path, Buffer.from("\x00\xff{]\n\x1b[2J\x1e9 x {\n".repeat(40), "latin1")),
  removed: (path) => rmSync(path),
};

/** Lines that read the files of each kind, and what they answer when one is damaged. */
const LINES: Record<string, Record<string, string>> = {
  hooks: { "mu agent list": "ok" },
  launches: { "mu agent list": "ok", "mu recover": "ok" },
  salvage: { "mu salvage list": "ok", "mu salvage show copier/1": "vcs.no_save", "mu workspace list": "ok" },
  spool: { "mu agent list": "ok", "mu agent show pia": "ok" },
  transcripts: { "mu agent list": "ok", "mu agent read pia": "ok", "mu agent read gone": "ok" },
  workspaces: { "mu workspace list": "ok", "mu workspace orphans": "ok" },
};

describeTmux("a damaged file of the state folder", () => {
  let app: Seeded;
  let crew: Crew;
  beforeAll(async () => {
    app = await seededApp("with panes");
    crew = await app.world.openCrew(app.context, app.request);
    const demo = (name: string) => ({ workstream: "demo", name });
    const cwd = app.request.cwd;
    await spawnAgent(crew, demo("pia"), { cli: "pi", command: "sh", cwd });
    const pia = await latestAgentRow(app.store.db, demo("pia"));
    const session = { at: Date.now(), event: "session_start", payload: { sessionId: "s-1" } };
    await appendSpool(spoolPath(app.folder, pia.id), session);
    await spawnAgent(crew, demo("gone"), { cli: "shell", command: "echo last words; exec cat", cwd });
    await closeAgent(crew, demo("gone"));
    for (const name of ["copier", "keeper"]) {
      const { path } = await createWorkspace(crew, demo(name), { projectRoot: cwd, backend: "none" });
      writeFileSync(join(path, "work.txt"), "work");
    }
    await leaveWorkspace(crew, demo("copier"), "keep");
  }, 60_000);
  afterAll(() => app.end());

  /** All but the database, which is open, and the files of the project. */
  const files = () =>
    readdirSync(app.folder, { recursive: true, encoding: "utf8" })
      .filter((name) => !/^(mu\.db|project|tmux)|^workspaces\/demo\/\w/.test(name))
      .filter((name) => statSync(join(app.folder, name)).isFile());

  const outcome = async (line: string) => {
    const { verb, input } = parseCommand(line);
    const operation = await findOperation(verb.name);
    if (operation === undefined) throw new Error(line);
    try {
      const result = await execute(operation, input, app.world, app.request);
      operation.render?.(result as never, createPaint({ colour: false, now: Date.now() }));
      return "ok";
    } catch (error) {
      if (!(error instanceof Fault)) throw new Error(`${line}: ${(error as Error).stack}`);
      return error.code;
    }
  };

  it("has lines that read it, whatever its kind", () => {
    expect([...new Set(files().map(kindOf))].sort()).toEqual(Object.keys(LINES));
  });

  it.each(Object.entries(DAMAGES))(
    "%s, stops no verb but the one that needs it, which says so",
    async (_how, damage) => {
      for (const name of files()) {
        const path = join(app.folder, name);
        const bytes = readFileSync(path);
        damage(path, bytes);
        const found: Record<string, string> = {};
        for (const line of Object.keys(LINES[kindOf(name)] ?? {})) found[line] = await outcome(line);
        expect([name, found]).toEqual([name, LINES[kindOf(name)]]);
        writeFileSync(path, bytes);
      }
    },
  );

  it("of a closed agent's last screen leaves the transcript to read", async () => {
    const last = files().filter((name) => name.endsWith(".txt"));
    expect(last).toHaveLength(1);
    for (const name of last) writeFileSync(join(app.folder, name), "");
    expect(await readAgent(crew, { workstream: "demo", name: "gone" }, { lines: 5 })).toMatchObject({
      source: "transcript",
      lines: ["last words"],
    });
  });
});

const kindOf = (name: string) => name.replace(/\/.*/s, "");
