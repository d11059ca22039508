import { writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { CommanderError } from "commander";
import { afterAll, describe, expect, it, onTestFinished } from "vitest";
import { Fault } from "../src/errors.js";
import type { Request } from "../src/operations/app.js";
import { execute, type World } from "../src/operations/execute.js";
import { loadOperations } from "../src/operations/index.js";
import type { Example, Operation } from "../src/operations/operation.js";
import { parseCommand } from "./support/command.js";
import { fakeLinear } from "./support/linear.js";
import { projectFor, type Seeded, seededApp } from "./support/seeded.js";

const operations = await loadOperations();

let app: Seeded;

/** Projects by what is in them, shared by the examples that change nothing. */
const shared = new Map<string, Seeded>();
afterAll(async () => {
  for (const project of shared.values()) await project.end();
});

async function openProject(operation: Operation, example: Example): Promise<void> {
  const project = projectFor(operation.name);
  if (example.fault === undefined && !changesNothing(operation)) {
    app = await seededApp(...project);
    onTestFinished(app.end);
    return;
  }
  const kind = project.join(", ");
  app = shared.get(kind) ?? (await seededApp(...project));
  shared.set(kind, app);
}

/** The world with a Linear that answers. */
async function withLinear(world: World): Promise<World> {
  const linear = await fakeLinear();
  onTestFinished(linear.end);
  const env = { LINEAR_API_KEY: "lin_api_of_the_test", MU_LINEAR_URL: linear.url };
  const openCrew: World["openCrew"] = async (...given) => {
    const crew = await world.openCrew(...given);
    return { ...crew, env: { ...crew.env, ...env } };
  };
  writeFileSync(
    join(app.request.cwd, ".mu/settings.json"),
    JSON.stringify({ roles: { code: {}, qa: {} }, linear: { teamId: "team-1" } }),
  );
  return { ...world, openCrew };
}

/** The world in which a stand-in answers for pi, where a request needs an answer. */
function withPi(world: World): World {
  const pi = `${process.execPath} ${join(import.meta.dirname, "support", "stub-pi.mjs")}`;
  const openCrew: World["openCrew"] = async (context, request) => {
    const crew = await world.openCrew(context, request);
    return { ...crew, env: { ...crew.env, MU_PI_COMMAND: crew.env["MU_PI_COMMAND"] ?? pi } };
  };
  return { ...world, openCrew };
}

/** Everything a verb could have changed. */
async function contents(): Promise<string> {
  const tables = [
    "workstreams",
    "tasks",
    "task_edges",
    "task_notes",
    "agents",
    "workspaces",
    "events",
    "chains",
  ] as const;
  return JSON.stringify(await Promise.all(tables.map((table) => app.store.db.selectFrom(table).selectAll().execute())));
}

async function groups(): Promise<Set<string>> {
  const rows = await app.store.db.selectFrom("events").select("group_id").distinct().execute();
  return new Set(rows.map((row) => row.group_id));
}

async function outcome(example: Example): Promise<{ result?: unknown; fault?: string }> {
  try {
    const { verb, input } = parseCommand(example.command);
    const operation = operations.find((found) => found.name === verb.name) as Operation;
    const world = verb.name.startsWith("linear.") ? await withLinear(app.world) : withPi(app.world);
    const request = { ...app.request, json: verb.name === "ops" };
    return { result: await execute(operation, input, world, request) };
  } catch (error) {
    if (error instanceof Fault) return { fault: error.code };
    if (error instanceof CommanderError) return { fault: COMMANDER[error.code] ?? error.code };
    throw error;
  }
}

const COMMANDER: Record<string, string> = {
  "commander.unknownOption": "usage.unknown_option",
  "commander.missingArgument": "usage.missing_argument",
};

/** Verbs whose examples wait for the other side or only print. */
const changesNothing = (operation: Operation) => operation.effect === "read";

describe.each(operations.map((operation) => [operation.name, operation] as const))("mu %s", (_name, operation) => {
  it("has an example that works and one that is refused", () => {
    expect(operation.examples.some((example) => example.fault === undefined)).toBe(true);
    expect(operation.examples.some((example) => example.fault !== undefined)).toBe(true);
  });

  it.each(operation.examples.map((example) => [example.command, example] as const))("%s", async (_command, example) => {
    await openProject(operation, example);
    const [before, groupsBefore] = [await contents(), await groups()];
    const { result, fault } = await outcome(example);
    const after = await contents();
    expect(fault).toBe(example.fault);
    if (fault !== undefined) {
      expect(after).toBe(before);
      return;
    }
    const checked = operation.output().safeParse(result);
    expect(checked.error?.issues ?? []).toEqual([]);
    // A landing that finds nothing succeeds as well, and would show nothing.
    if (operation.name === "land") expect(result).toMatchObject({ landed: [{ task: "cart", commits: 1 }] });
    if (changesNothing(operation)) expect(after).toBe(before);
    const fresh = [...(await groups())].filter((group) => !groupsBefore.has(group));
    expect(fresh.length).toBe(after === before ? 0 : 1);
  });
});

it("takes - and @file as plain text in every field of every verb, where there is no standard input", async () => {
  app = await seededApp();
  onTestFinished(app.end);
  const read: string[] = [];
  const { stdin: _, terminal: __, ...offered } = app.request;
  const request: Request = {
    ...offered,
    signal: AbortSignal.abort(),
    readFile: async (path) => {
      read.push(basename(path));
      throw new Fault("usage", "file.not_readable", path);
    },
  };
  let fields = 0;
  for (const operation of operations.filter(({ standalone, needs }) => !standalone && !needs)) {
    const example = operation.examples.find(({ fault }) => fault === undefined)?.command ?? "";
    const { verb, input } = parseCommand(example);
    for (const { field, type } of [...verb.arguments, ...verb.options]) {
      if (type !== "text" && type !== "list") continue;
      for (const text of ["-", "@-", "@plan.yaml"]) {
        fields++;
        const given = { ...input, [field]: type === "list" ? [text] : text };
        await execute(operation, given, app.world, request).catch((error) => {
          if (!(error instanceof Fault)) throw error;
        });
      }
    }
  }
  expect(fields).toBeGreaterThan(300);
  // A field that is a file's path may be read under the name that it has.
  expect(read.filter((name) => !name.startsWith("@"))).toEqual([]);
});
