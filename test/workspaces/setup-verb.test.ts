import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { write } from "../../src/db/write.js";
import { execute } from "../../src/operations/execute.js";
import { loadOperations } from "../../src/operations/index.js";
import type { Operation } from "../../src/operations/operation.js";
import { workstreamRow } from "../../src/workstreams/workstream.js";
import { agentRow } from "../support/agent-row.js";
import { parseCommand } from "../support/command.js";
import { type Seeded, seededApp } from "../support/seeded.js";
import { reservedRow } from "../support/workspace-setup.js";

const operations = await loadOperations();

let app: Seeded;
let project: string;
beforeEach(async () => {
  app = await seededApp();
  project = join(app.folder, "project");
});
afterEach(() => app.end());

// biome-ignore lint/suspicious/noExplicitAny: tests reach into it, and a wrong shape fails them
async function mu(line: string, env: Record<string, string> = {}): Promise<any> {
  const { verb, input } = parseCommand(line);
  const operation = operations.find((found) => found.name === verb.name) as Operation;
  const { world, request } = app;
  return execute(operation, input, world, { ...request, env: { ...request.env, ...env } });
}

function put(files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(project, name)), { recursive: true });
    writeFileSync(join(project, name), text);
  }
}

/** The environment of an agent without a pane. */
async function agentEnv(): Promise<Record<string, string>> {
  const { id } = await workstreamRow(app.store.db, "demo");
  const row = await write(app.context, { op: "agent.spawn", scope: "demo", subject: "demo/bot" }, (tx) =>
    tx.insert(
      "agents",
      agentRow({
        workstream_id: id,
        name: "bot",
        command: "sh",
        spawned_at: tx.now,
      }),
    ),
  );
  return { MU_AGENT_ID: String(row.id), MU_AGENT: "bot" };
}

describe("mu workspace setup", () => {
  it("shows what counts and where each comes from", async () => {
    put({
      ".mu/workspace.yaml": "copy: [a.local]\ncommand: make ready\ncheck: make test\n",
      ".worktreeinclude": "x\n",
    });
    await mu("mu workspace setup --copy '.env,b.local' --ports 2 --link node_modules");
    const shown = await mu("mu workspace setup");
    expect(shown).toMatchObject({
      workstream: "demo",
      root: project,
      copy: [
        { pattern: ".env", from: "settings" },
        { pattern: "b.local", from: "settings" },
        { pattern: "a.local", from: ".mu/workspace.yaml" },
      ],
      link: [{ pattern: "node_modules", from: "settings" }],
      includes: true,
      command: { command: "make ready", from: ".mu/workspace.yaml", approved: false },
      check: { command: "make test", approved: false },
      ports: 2,
      done: null,
    });
    expect(shown.nextSteps[0].command).toBe("mu workspace setup --approve -w demo");
    const text = operations
      .find(({ name }) => name === "workspace.setup")
      ?.render?.(
        shown as never,
        {
          bold: (t: string) => t,
          dim: (t: string) => t,
        } as never,
      );
    expect(text).toContain("make ready (.mu/workspace.yaml) not approved");
  });

  it("goes back to the defaults", async () => {
    await mu("mu workspace setup --copy .env --ports 2 --command 'npm ci'");
    const shown = await mu("mu workspace setup --unset copy --unset ports --unset command");
    expect(shown).toMatchObject({ copy: [], ports: 0, command: null });
  });

  it("lets a person approve, once for a text, and never an agent", async () => {
    put({ ".mu/workspace.yaml": "command: make ready\ncheck: make test\n" });
    const bot = await agentEnv();
    for (const line of [
      "mu workspace setup --approve",
      "mu workspace setup --command 'make ready'",
      "mu workspace setup --unset command",
      "mu workstream set setup.command 'make ready'",
      "mu workstream set check 'make ready'",
      "mu workstream set check --unset",
    ])
      await expect(mu(line, bot)).rejects.toMatchObject({ code: "setup.needs_person", kind: "conflict" });
    expect((await mu("mu workspace setup", bot)).command.approved).toBe(false);

    expect((await mu("mu workspace setup --approve")).approved).toEqual(["make ready", "make test"]);
    expect(await mu("mu workspace setup --approve")).toMatchObject({ approved: [], command: { approved: true } });
    put({ ".mu/workspace.yaml": "command: make ready && make more\ncheck: make test\n" });
    expect(await mu("mu workspace setup")).toMatchObject({ command: { approved: false }, check: { approved: true } });
    const rows = await app.store.db.selectFrom("approvals").select(["root", "text", "actor"]).execute();
    expect(rows.map(({ actor, root }) => [actor, root])).toEqual([
      ["ann", project],
      ["ann", project],
    ]);
  });

  it("sets a workspace up again, and only one that is ready", async () => {
    const path = join(app.folder, "workspaces", "worker");
    mkdirSync(path, { recursive: true });
    const row = await reservedRow(app.context, { root: project, path, agent: "worker", backend: "none" });
    await mu("mu workspace setup --command 'echo $MU_PORT_0 >> ports.txt' --ports 1");
    await expect(mu("mu workspace setup worker")).rejects.toMatchObject({ code: "workspace.not_ready" });
    await app.store.db.updateTable("workspaces").set({ state: "ready" }).where("id", "=", row.id).execute();
    const first = await mu("mu workspace setup worker");
    const second = await mu("mu workspace setup demo/worker");
    expect(second.done).toMatchObject({ agent: "worker", ports: first.done.ports });
    const [port] = first.done.ports;
    expect(readFileSync(join(path, "ports.txt"), "utf8")).toBe(`${port}\n${port}\n`);
    expect(existsSync(second.done.command.log)).toBe(true);
  });
});
