import { pollUntil } from "../clock.js";
import { wakingClock } from "../db/context.js";
import { asFault } from "../errors.js";
import { bookInteractive } from "../runs/interactive.js";
import { activeRunIds, type Run, runRow, toRun } from "../runs/run.js";
import { createAttendant } from "./attend.js";
import { record } from "./brake.js";
import type { Wait } from "./decide.js";
import { beat, type DispatchWorld } from "./dispatch.js";
import { keepEscalationFiles, listEscalations } from "./escalation.js";
import type { Scene } from "./facts.js";
import { handOut } from "./hand-out.js";
import { finishedWork, landFinished } from "./land.js";
import { stopAsked, takeLease } from "./lease.js";
import { reportKeeper } from "./report.js";
import { closeSlots } from "./slots.js";

export interface LoopOptions {
  /** End when everything that can run has run; such a loop takes no lease and may run beside others. */
  once: boolean;
  /** Also hand tasks to idle agents in panes; they come first. */
  crew?: boolean | undefined;
  /** Time between two beats if no change of the database brings one; the settings' without it. */
  pollMs?: number | undefined;
  /** Ends the starting of runs; what runs is waited for. */
  signal: AbortSignal;
  /** Told what happens, a sentence at a time. */
  say(text: string): void;
}

export interface LoopResult {
  started: Run[];
  finished: Run[];
  wait: Wait[];
  /** The tasks that came to wait for a person meanwhile. */
  held: string[];
}

const firstLine = (text: string) => text.split("\n", 1)[0] ?? "";

/** How long a drain waits for a task's next attempt, in ms. */
const PATIENCE_MS = 150_000;

/**
 * Beats until `signal` or a request to stop; with `once` until nothing is ready and nothing runs. Between beats finished
 * work lands, failures that come too often put the brake on, and the files for people are kept. Faults
 * `dispatch.runs_already`, `settings.*`.
 */
export async function dispatchLoop(world: DispatchWorld, options: LoopOptions): Promise<LoopResult> {
  const { workstream } = await world.scene();
  const release = options.once ? undefined : await takeLease(world, workstream);
  if (release) await record(world, { workstream }, "dispatch.start");
  const clock = wakingClock(world.context);
  try {
    // A process that was killed behind its settlement did not come to what follows it.
    await (await world.special?.())
      ?.catchUp(world, workstream.name)
      .catch((error) => options.say(asFault(error).message));
    return await beats(world, clock, options);
  } finally {
    clock.end();
    if (release) await record(world, { workstream }, "dispatch.stop").finally(release);
    await closeSlots(world, workstream);
  }
}

async function beats(
  world: DispatchWorld,
  clock: ReturnType<typeof wakingClock>,
  { once, crew, pollMs, signal, say }: LoopOptions,
): Promise<LoopResult> {
  const { db } = world.context.store;
  const first = await world.scene();
  const before = new Set((await listEscalations(db, first)).map(({ task }) => task));
  const started = new Map<number, Run>();
  const finished = new Map<number, Run>();
  let wait: Wait[] = [];
  const everyMs = pollMs ?? first.settings.dispatch.pollSeconds * 1000;
  const attendant = await createAttendant(world, { canIdle: !once, everyMs, say });
  const report = reportKeeper(world, { say });
  let landing: Promise<void> | undefined;
  let tried = "";
  const look = async () => {
    const active = new Set(await activeRunIds(db, first.workstream.id));
    for (const id of started.keys()) {
      if (finished.has(id) || active.has(id)) continue;
      const run = toRun(await runRow(db, id));
      finished.set(id, run);
      say(
        `${run.agent} ${run.verdict ?? run.state} ${run.task}${run.reason === null ? "" : `: ${firstLine(run.reason)}`}`,
      );
    }
    return active.size;
  };
  const turn = async () => {
    const scene = await world.scene();
    // What has ended is told before what it made ready.
    if (started.size > finished.size) await look();
    const given = crew ? await handOut(world, scene, say) : [];
    const done = await beat(world, (run) => {
      started.set(run.id, run);
      say(`${run.agent} starts ${run.task} (run ${run.id}, attempt ${run.attempt})`);
    });
    await bookInteractive(world, scene.workstream);
    for (const run of done.reaped)
      if (!started.has(run.id)) say(`${run.agent} ${run.state} ${run.task}: ${run.reason}`);
    wait = done.wait;
    const active = await look();
    for (const notice of done.notices) say(notice);
    if (done.brake !== null) say(`Halted: ${done.brake}`);
    for (const { task, hold } of await keepEscalationFiles(world, scene)) say(`${task} is held (${hold})`);
    const isBusy = active + done.started.length + given.length > 0 || landing !== undefined || done.retryAt !== null;
    await attendant.attend(scene, { wait, isBusy, brake: done.brake });
    if (!once) await report(scene);
    if (!once && (await stopAsked(db, scene.workstream)) !== null) return "stop";
    const lands = scene.settings.dispatch.landing === "auto" && landing === undefined;
    if (lands && (await landSoon(scene))) return undefined;
    // A run that ended since the decision may have made its task ready again.
    const some = active + given.length + done.started.length + done.underWay;
    if (!once || some > 0 || landing !== undefined) return undefined;
    const soon = new Date(clock.now().getTime() + PATIENCE_MS).toISOString();
    return done.retryAt !== null && done.retryAt < soon ? undefined : "drained";
  };
  /** Checks may take long, so that beats go on meanwhile; whether there was something new to land. */
  const landSoon = async (scene: Scene) => {
    const work = await finishedWork(world, scene);
    if (work.tasks.length === 0 || work.key === tried) return false;
    tried = work.key;
    landing = landFinished(world, scene, work, say).finally(() => {
      landing = undefined;
    });
    if (once) await landing;
    return true;
  };
  const patientTurn = () =>
    turn().catch((error) => {
      const { kind, code, message } = asFault(error);
      if (once || kind !== "unavailable" || code === "request.interrupted") throw error;
      say(message);
      return undefined;
    });
  await pollUntil(clock, patientTurn, { everyMs, timeoutMs: Number.POSITIVE_INFINITY, signal });
  await landing;
  if ((await stopAsked(db, first.workstream)) !== "now") {
    const settled = async () => ((await look()) === 0 ? true : undefined);
    await pollUntil(clock, settled, { everyMs: 1_000, timeoutMs: Number.POSITIVE_INFINITY });
  }
  await attendant.end();
  const held = (await listEscalations(db, first)).map(({ task }) => task).filter((task) => !before.has(task));
  return { started: [...started.values()], finished: [...finished.values()], wait, held };
}
