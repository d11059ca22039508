import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { CommanderError } from "commander";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import * as z from "zod";
import { insertAgentIn } from "../src/agents/agent.js";
import { write } from "../src/db/write.js";
import { Fault } from "../src/errors.js";
import type { Request } from "../src/operations/app.js";
import { execute } from "../src/operations/execute.js";
import { type FieldNotes, notesOf } from "../src/operations/fields.js";
import { findOperation, loadOperations } from "../src/operations/index.js";
import type { Operation } from "../src/operations/operation.js";
import { addTask } from "../src/tasks/add.js";
import { claimTask } from "../src/tasks/claim.js";
import { initWorkstream, workstreamRow } from "../src/workstreams/workstream.js";
import { parseCommand } from "./support/command.js";
import { type Seeded, seededApp } from "./support/seeded.js";

const operations = (await loadOperations()).filter(({ standalone }) => !standalone);
type Input = Record<string, unknown>;

/** Two workstreams with folders of their own; in each an agent `worker-1` and the tasks `same` and `dep`. */
let app: Seeded;
const agents: Record<string, number> = {};
const folder = (workstream: string) => join(app.folder, workstream);

async function openTwo(): Promise<Seeded> {
  const seeded = await seededApp();
  for (const workstream of ["wa", "wb"]) {
    mkdirSync(join(seeded.folder, workstream));
    await initWorkstream(seeded.context, workstream, { root: join(seeded.folder, workstream) });
    await addTask(seeded.context, workstream, { name: "same", title: `Same of ${workstream}` });
    await addTask(seeded.context, workstream, { name: "dep", title: `Dep of ${workstream}` });
    agents[workstream] = await write(
      seeded.context,
      { op: "agent.spawn", scope: workstream, subject: "x" },
      async (tx) => {
        const { id: workstream_id } = await workstreamRow(tx.db, workstream);
        return (await insertAgentIn(tx, { workstream_id, name: "worker-1", cli: "claude" })).id;
      },
    );
  }
  return seeded;
}

beforeAll(async () => {
  app = await openTwo();
});
afterAll(() => app.end());

/** A fresh pair of workstreams for a story that writes. */
async function fresh(): Promise<void> {
  const shared = app;
  app = await openTwo();
  const own = app;
  onTestFinished(async () => {
    app = shared;
    await own.end();
  });
}

/** A person in a folder, or the agent of a workstream in its sandbox. */
const person = (cwd: string): Request => ({ ...app.request, env: { USER: "ann" }, cwd });
const agent = (workstream: string): Request => {
  const env = { MU_AGENT_ID: String(agents[workstream]), MU_WORKSTREAM: workstream, CLAUDECODE: "1" };
  return { ...app.request, env, cwd: folder(workstream) };
};

// biome-ignore lint/suspicious/noExplicitAny: tests reach into it, and a wrong shape fails them
async function mu(name: string, input: Input, request = person(folder("wa"))): Promise<any> {
  return execute((await findOperation(name)) as Operation, input, app.world, request);
}

const faultOf = (work: Promise<unknown>): Promise<Fault> =>
  work.then(
    (value) => Promise.reject(new Error(`not refused: ${JSON.stringify(value)}`)),
    (error) => (error instanceof Fault ? error : Promise.reject(error)),
  );

/** What a verb's `run` would get. */
function inputFor(operation: Operation, input: Input, request: Request): Promise<Input> {
  const { reconcile: _, needs: __, ...quiet } = operation;
  const silent: Operation = { ...quiet, effect: "read", run: async (_app, given) => given };
  return execute(silent, input, app.world, request) as Promise<Input>;
}

const notes = (operation: Operation): [string, FieldNotes][] =>
  Object.entries((operation.input() as z.ZodObject).shape).map(([name, field]) => [name, notesOf(field as z.ZodType)]);

/** Input that the verb takes, without any name of a task, an agent or a workstream. */
function plainInput(operation: Operation): Input {
  // What asks an agent has no example that works everywhere.
  const bare = `mu ${operation.name.replaceAll(".", " ")}${operation.positional === undefined ? "" : " x"}`;
  const example = operation.examples.find(({ fault }) => fault === undefined)?.command ?? bare;
  const { input } = parseCommand(example);
  const named = notes(operation).filter(([, { names, scope, everywhere }]) => names || scope || everywhere);
  const names = named.map(([name]) => name);
  return Object.fromEntries(Object.entries(input).filter(([field]) => !names.includes(field)));
}

/** What a verb needs that is given no name by position. */
const INSTEAD: Readonly<Record<string, Input>> = {
  "task.claim": { next: true },
  "workspace.refresh": { all: true },
  "agent.interrupt": { all: true },
  "agent.send": { all: true },
};

const isList = (operation: Operation, field: string) => {
  const schema = z.toJSONSchema(operation.input(), { io: "input" }) as {
    properties: Record<string, { type?: string }>;
  };
  return schema.properties[field]?.type === "array";
};

/** The required names, as given by position. */
function requiredNames(operation: Operation, except: string): Input {
  const schema = z.toJSONSchema(operation.input(), { io: "input" }) as { required?: string[] };
  const wanted = notes(operation).filter(([name]) => schema.required?.includes(name) && name !== except);
  const value = (names?: string) => (names === "agent" || names === "person" ? "worker-1" : names ? "same" : undefined);
  return Object.fromEntries(
    wanted.flatMap(([name, { names }]) => {
      const text = value(names);
      return text === undefined ? [] : [[name, isList(operation, name) ? [text] : text]];
    }),
  );
}

const fields = operations.flatMap((operation) =>
  notes(operation).flatMap(([field, note]) =>
    note.names === undefined || note.names === "save"
      ? []
      : [[`${operation.name} ${field}`, operation, field, note] as const],
  ),
);

describe.each(fields)("the names in %s", (_title, operation, field, { names }) => {
  const name = names === "agent" || names === "person" ? "worker-1" : "same";
  const give = (text: string, more: Input = {}) => {
    const value = isList(operation, field) ? [text] : text;
    const instead = operation.positional?.includes(field) ? {} : INSTEAD[operation.name];
    return { ...plainInput(operation), ...instead, ...requiredNames(operation, field), ...more, [field]: value };
  };
  const one = (input: Input) => [input[field]].flat()[0];
  const leads = names !== "blocker" || operation.spans === true;

  it("are of the folder's workstream, of the agent's own, or of the one that -w names", async () => {
    expect(one(await inputFor(operation, give(name), person(folder("wb"))))).toMatchObject({ workstream: "wb", name });
    expect(one(await inputFor(operation, give(name), agent("wb")))).toMatchObject({ workstream: "wb", name });
    const named = await inputFor(operation, give(name, { workstream: "wa" }), person(folder("wb")));
    expect(one(named)).toMatchObject({ workstream: "wa", name });
  });

  it("mean the workstream that they name, and the call is about that one or refused", async () => {
    const given = give(`wb/${name}`);
    const outcome = await inputFor(operation, given, person(folder("wa"))).catch((error) => error);
    if (outcome instanceof Fault) {
      expect(outcome.code).toBe("usage.two_workstreams");
      expect(operation.positional).not.toContain(field);
      return;
    }
    expect(one(outcome)).toMatchObject({ workstream: "wb", name });
    if (leads && !operation.spans) expect(outcome["workstream"]).toBe("wb");
  });

  it("are refused together with another workstream in -w", async () => {
    const outcome = inputFor(operation, give(`wb/${name}`, { workstream: "wa" }), person(folder("wa")));
    if (operation.spans) return expect(one(await outcome)).toMatchObject({ workstream: "wb", name });
    if (leads) return expect(await faultOf(outcome)).toMatchObject({ kind: "usage", code: "usage.two_workstreams" });
    const real = execute(operation, give(`wb/${name}`, { workstream: "wa" }), app.world, person(folder("wa")));
    expect(await faultOf(real)).toMatchObject({ kind: "usage", code: "task.cross_workstream" });
  });

  it("need a workstream where nothing says which", async () => {
    const nowhere = inputFor(operation, give(name), person(app.folder));
    const fault = await nowhere.then(
      () => undefined,
      (error: Fault) => error,
    );
    if (fault === undefined) return expect(names).toBe("person");
    expect(["workstream.required", "task.ambiguous"]).toContain(fault.code);
  });
});

describe.each(operations.map((operation) => [operation.name, operation] as const))("mu %s", (_name, operation) => {
  const scopes = notes(operation).filter(([, { scope }]) => scope !== undefined);
  const everywhere = notes(operation).find(([, note]) => note.everywhere)?.[0];

  it("has no field that names a task or an agent and is not resolved", () => {
    const loose = notes(operation).filter(
      ([, note]) => note.names === undefined && /^(task|agent)$/.test(note.completes ?? ""),
    );
    expect(loose).toEqual([]);
  });

  it("uses -w, and an unknown one is exit 3 with near names, or takes none", async () => {
    const input = { ...plainInput(operation), ...INSTEAD[operation.name], ...requiredNames(operation, "") };
    if (!notes(operation).some(([name]) => name === "workstream")) {
      const words = operation.name.replaceAll(".", " ");
      expect(() => parseCommand(`mu ${words} -w wa`)).toThrow(CommanderError);
      return;
    }
    const [, { scope } = {}] = scopes[0] ?? [];
    expect(scope).toBeDefined();
    const real = execute(operation, { ...input, workstream: "wz" }, app.world, person(folder("wa")));
    const fault = await faultOf(real);
    expect(fault).toMatchObject({ kind: "missing", exitCode: 3 });
    expect(fault.message).toMatch(/Did you mean w[ab]/);
    if (operation.spans || scope === "chain") return;
    const { workstream } = await inputFor(operation, { ...input, workstream: "wb" }, person(folder("wa")));
    expect(workstream).toBe("wb");
  });

  it("is about all workstreams with --all, and about none beside", async () => {
    if (everywhere === undefined) return;
    const input = { ...plainInput(operation), ...requiredNames(operation, ""), [everywhere]: true };
    expect((await inputFor(operation, input, person(folder("wa"))))["workstream"]).toBeUndefined();
    const both = execute(operation, { ...input, workstream: "wa" }, app.world, person(folder("wa")));
    expect(await faultOf(both)).toMatchObject({ kind: "usage", code: "usage.all_and_one" });
  });
});

describe("namesakes in two workstreams", () => {
  it("get no task that was claimed for the other", async () => {
    await fresh();
    const other = mu("task.claim", { task: "wa/same", for: "wb/worker-1" });
    expect(await faultOf(other)).toMatchObject({ kind: "usage", code: "usage.two_workstreams" });
    const { task } = await mu("task.claim", { task: "wb/same", for: "wb/worker-1" });
    expect(task).toMatchObject({ workstream: "wb", name: "same", owner: "worker-1" });
    expect((await mu("task.show", { task: "wa/same" })).task.owner).toBeNull();
  });

  it("see only their own tasks", async () => {
    await fresh();
    await claimTask(app.context, { workstream: "wa", name: "same" }, { agent: "worker-1" });
    for (const [verb, input] of [
      ["me", {}],
      ["me.tasks", {}],
      ["task.list", { mine: true, all: true }],
    ] as const) {
      const tasks = async (workstream: string) => {
        const found = await mu(verb, input, agent(workstream));
        return (found.tasks ?? found.items).map((task: { workstream: string }) => task.workstream);
      };
      expect([verb, await tasks("wa"), await tasks("wb")]).toEqual([verb, ["wa"], []]);
    }
    expect((await mu("me", { workstream: "wb" }, agent("wa"))).tasks).toEqual([]);
    expect((await mu("prime", {}, agent("wb"))).tasks).toEqual([]);
  });

  it("hear that a task is another workstream's, and not that they were replaced", async () => {
    await fresh();
    const fault = await faultOf(mu("task.claim", { task: "wa/dep" }, agent("wb")));
    expect(fault).toMatchObject({ kind: "conflict", code: "agent.elsewhere" });
    expect(fault.message).toContain("wb/worker-1");
    expect(fault.message).toContain("wa's");
    expect(await faultOf(mu("land", { workstream: "wa" }, agent("wb")))).toMatchObject({ kind: "usage" });
  });

  it("undo their own latest change in the workstream that is meant", async () => {
    await fresh();
    await mu("task.add", { name: "x", title: "X", workstream: "wa" });
    await mu("task.add", { name: "y", title: "Y", workstream: "wb" });
    expect((await mu("undo", { yes: true, workstream: "wa" })).target.subject).toBe("wa/x");
    expect((await mu("undo", { yes: true }, person(folder("wb")))).target.subject).toBe("wb/y");
    await mu("task.note", { task: "wa/same", text: "hello" }, agent("wa"));
    const fault = await faultOf(mu("undo", { yes: true, workstream: "wa" }, agent("wb")));
    expect(fault).toMatchObject({ kind: "conflict", code: "undo.namesake" });
  });
});
