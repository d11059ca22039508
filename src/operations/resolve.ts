import { resolve, sep } from "node:path";
import type { Reader } from "../db/schema.js";
import { Fault } from "../errors.js";
import { type AgentRef, parseRef, quote, type TaskRef } from "../names.js";
import { isPastWorkstream, workstreamRow } from "../workstreams/workstream.js";
import type { App } from "./app.js";
import { step } from "./operation.js";

/**
 * The workstream a verb is about: the one named, else the caller's, else the one whose root holds the current
 * folder. Faults `workstream.required`, `workstream.not_found`.
 */
export async function resolveWorkstream(app: App, named?: string): Promise<string> {
  const found = await findWorkstream(app, named);
  if (found === undefined) throw workstreamRequired();
  await workstreamRow(app.context.store.db, found);
  return found;
}

/** As `resolveWorkstream`, for what outlives its workstream: takes the name of one that was destroyed, too. */
export async function resolveScope(app: App, named?: string): Promise<string> {
  const found = await findWorkstream(app, named);
  return found !== undefined && (await isPastWorkstream(app.context.store.db, found))
    ? found
    : resolveWorkstream(app, named);
}

/** Like `resolveWorkstream`, but undefined where nothing names one. */
export async function findWorkstream(app: App, named?: string): Promise<string | undefined> {
  return named ?? app.caller.workstream ?? (await workstreamOfFolder(app.context.store.db, app.request.cwd));
}

function workstreamRequired(): Fault {
  return new Fault(
    "usage",
    "workstream.required",
    "No workstream given. Pass -w <name>, set MU_WORKSTREAM, or run mu inside a workstream's folder.",
    [step("List the workstreams", "mu workstream list"), step("Start one here", "mu workstream init <name>")],
  );
}

async function workstreamOfFolder(db: Reader, cwd: string): Promise<string | undefined> {
  const rows = await db.selectFrom("workstreams").select(["name", "root"]).where("root", "is not", null).execute();
  const here = resolve(cwd) + sep;
  const holding = rows.filter((row) => here.startsWith(resolve(row.root ?? "") + sep));
  return holding.sort((a, b) => (b.root?.length ?? 0) - (a.root?.length ?? 0))[0]?.name;
}

/**
 * A task by `name` or `workstream/name`. A bare name where no workstream is known is looked for in all of them.
 * Faults `task.ambiguous` with the candidates, `workstream.required`, `usage.two_workstreams`.
 */
export async function resolveTask(app: App, text: string, named?: string): Promise<TaskRef> {
  const ref = parseRef(text);
  if (ref.workstream !== undefined && named !== undefined && ref.workstream !== named) {
    throw new Fault("usage", "usage.two_workstreams", `${quote(text)} is not in ${quote(named)}. Name one workstream.`);
  }
  const workstream = ref.workstream ?? (await findWorkstream(app, named));
  if (workstream !== undefined) return { workstream, name: ref.name };
  return onlyTaskNamed(app.context.store.db, ref.name);
}

async function onlyTaskNamed(db: Reader, name: string): Promise<TaskRef> {
  const found = await db
    .selectFrom("tasks as t")
    .innerJoin("workstreams as w", "w.id", "t.workstream_id")
    .select(["w.name as workstream", "t.name"])
    .where("t.name", "=", name)
    .orderBy("w.name")
    .execute();
  const [only, ...others] = found;
  if (only === undefined) throw workstreamRequired();
  if (others.length === 0) return only;
  throw new Fault(
    "conflict",
    "task.ambiguous",
    `${found.length} workstreams have a task named ${quote(name)}.`,
    found.map((task) => step(`Show the one in ${task.workstream}`, `mu task show ${task.workstream}/${name}`)),
  );
}

/** An agent by `name` or `workstream/name`. Faults `workstream.required`, `workstream.not_found`. */
export async function resolveAgent(app: App, text: string, named?: string): Promise<AgentRef> {
  const ref = parseRef(text);
  return { workstream: await resolveWorkstream(app, ref.workstream ?? named), name: ref.name };
}
