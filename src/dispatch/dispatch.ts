import type { Crew } from "../agents/crew.js";
import { timestamp } from "../db/context.js";
import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import { write } from "../db/write.js";
import { Fault } from "../errors.js";
import type { RunWish } from "../flow/payload.js";
import { qualifiedName } from "../names.js";
import type { Terminal } from "../notify/desktop.js";
import { processIdentity } from "../processes.js";
import { type Role, roleOf } from "../project/settings.js";
import { saveSettings } from "../runs/files.js";
import { keptOf, settleFailure } from "../runs/perform.js";
import { reapRuns } from "../runs/reap.js";
import { reserveRunIn } from "../runs/reserve.js";
import { type Run, type RunRow, toRun } from "../runs/run.js";
import type { RunWorld } from "../runs/special.js";
import { brakeOnFailures } from "./brake.js";
import { decide, type Start, type Wait } from "./decide.js";
import { readFacts, type Scene } from "./facts.js";
import { keepNotices, noticesOf } from "./notices.js";

/** What a dispatcher works with. */
export interface DispatchWorld extends Crew {
  /** Looked at before every beat, as settings may change while it runs. */
  scene(): Promise<Scene>;
  transport: "pane" | "child";
  /** Where the bell rings. */
  terminal?: Terminal;
  /** Starts the process that carries out a reserved run. */
  launch(run: RunRow): Promise<void>;
  /** Loads what the tasks of jobs need; undefined where no such task is run. */
  special?: RunWorld["special"];
}

/** What one beat did. */
export interface Beat {
  started: Run[];
  /** Runs whose process had died. */
  reaped: Run[];
  wait: Wait[];
  /** How many runs were under way when it decided. */
  underWay: number;
  /** What it said of the caps, once a day each. */
  notices: string[];
  /** Why it put the brake on, if it did. */
  brake: string | null;
  /** When the first task that waits for its next attempt may start; null if none does. */
  retryAt: string | null;
}

/** What would start now and why everything else waits; starts nothing. */
export async function explain(world: DispatchWorld): Promise<{ start: Start[]; wait: Wait[] }> {
  const { store, clock } = world.context;
  return decide(await readFacts(store.db, await world.scene(), timestamp(clock)));
}

/** Settles what died, decides, and starts what can start. */
export async function beat(world: DispatchWorld, onStart: (run: Run) => void = () => {}): Promise<Beat> {
  const { store, clock } = world.context;
  const scene = await world.scene();
  const reaped = await reapRuns(world, scene.workstream.id);
  const brake = await brakeOnFailures(world, scene);
  const now = timestamp(clock);
  const facts = await readFacts(store.db, scene, now);
  const { start, wait } = decide(facts);
  const started: Run[] = [];
  for (const one of start) {
    const run = await reserve(world, scene, one);
    if (run === undefined) continue;
    onStart(toRun(run));
    await launched(world, scene, run).catch((error) => settleFailure(world, run, error));
    started.push(toRun(run));
  }
  const notices = await keepNotices(world, scene, noticesOf(facts, wait));
  const retries = facts.tasks.flatMap(({ unready }) => unready?.until ?? []);
  return {
    started,
    reaped: reaped.map(({ run }) => run),
    wait,
    underWay: facts.active.length,
    notices: notices.map(({ reason }) => reason),
    brake,
    retryAt: retries.sort()[0] ?? null,
  };
}

async function launched(world: DispatchWorld, { settings, isHeld, stateDir }: Scene, run: RunRow): Promise<void> {
  if (isHeld) await saveSettings(keptOf(stateDir, run), settings);
  return world.launch(run);
}

/**
 * Claims the task, reserves the money and takes the slot in one write, which decides once more on what is true by then.
 * Undefined if the task may not start any more: another dispatcher was first.
 */
export async function reserve(world: DispatchWorld, scene: Scene, { task, role }: Start): Promise<RunRow | undefined> {
  const { name: workstream } = scene.workstream;
  const process = await processIdentity(world);
  const ref = { workstream, name: task };
  const spec = { op: "run.reserve", scope: workstream, subject: qualifiedName(ref) };
  return write(world.context, spec, async (tx) => {
    const facts = await readFacts(tx.db, scene, tx.now, task);
    const [now] = decide(facts).start;
    const [waiting] = facts.tasks;
    const settings = roleOf(scene.settings, role, waiting?.isNode === true);
    if (now === undefined || now.role !== role || settings === undefined) return undefined;
    const { reservationUsd: reservedUsd } = settings;
    const { transport } = world;
    const { agent, writes } = now;
    const asked = askedOf(settings, waiting?.wish ?? {});
    return reserveRunIn(tx, ref, { ...asked, role, agent, writes, process, reservedUsd, transport });
  });
}

/** What a run is started with: its role's settings, and what its task asks for over them. */
function askedOf({ cli, model, liteModel, access }: Role, wish: RunWish) {
  const own = wish.cli === undefined || wish.cli === cli;
  const ofRole = own ? (wish.lite ? (liteModel ?? model) : model) : null;
  return { cli: wish.cli ?? cli, model: wish.model ?? ofRole, access: wish.access ?? access };
}

/** Refuses a workstream that has neither roles nor a job under way. Faults `dispatch.no_roles`. */
export async function requireRoles(db: Reader, { settings, workstream }: Scene): Promise<void> {
  if (Object.keys(settings.roles).length > 0) return;
  const [step] = await selectOpenStep(db, { workstreamId: workstream.id });
  if (step !== undefined) return;
  throw new Fault("conflict", "dispatch.no_roles", `${workstream.name} has no roles: tasks are started by role.`, [
    { intent: "Make a settings file", command: "mu init" },
    { intent: "See the roles", command: `mu role list -w ${workstream.name}` },
  ]);
}

const selectOpenStep = statement((db, { workstreamId }: { workstreamId: number }) =>
  db
    .selectFrom("tasks")
    .select("id")
    .where("workstream_id", "=", workstreamId)
    .where("kind", "=", "step")
    .where("status", "=", "OPEN")
    .limit(1),
);
