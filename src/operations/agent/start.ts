import { AGENT, findAgent } from "../../agents/agent.js";
import { DELIVERY, showDelivery } from "../../agents/delivery/outbox.js";
import { deliverQueued } from "../../agents/delivery/send.js";
import { SPAWN_WORKSPACE, type SpawnOptions, spawnAgent } from "../../crew/spawn.js";
import { READINESS } from "../../crew/start.js";
import { asFault } from "../../errors.js";
import { type AgentRef, qualifiedName } from "../../names.js";
import { TASK } from "../../tasks/task.js";
import { findWorkspaceRow } from "../../workspaces/workspace.js";
import { type App, type Drawing, type NextSteps, type Paint, shape, step, type TypeOf } from "../define.js";
import { drainLater, sentExitCode, sentLine, startDrain } from "../sent.js";
import { REFUSAL, withEach } from "../several.js";

/** An agent that was started, with what it was given. */
export const STARTED = shape({
  agent: AGENT,
  readiness: [READINESS, null],
  workspace: [SPAWN_WORKSPACE, null],
  /** The task that was claimed for it. */
  task: [TASK, null],
  /** Its first prompt. */
  delivery: [DELIVERY, null],
  /** Why it is not known to have its prompt. */
  problem: [REFUSAL, null],
});

type Started = TypeOf<typeof STARTED>;

/** Starts an agent and delivers its first prompt. An agent that did not get it stands all the same. Faults as `spawnAgent`. */
export async function startOne(app: App, ref: AgentRef, options: SpawnOptions): Promise<Started> {
  const crew = await app.crew();
  const { given, ...spawned } = await spawnAgent(crew, ref, options);
  if (given === null) return { ...spawned, task: null, delivery: null, problem: null };
  let problem: Started["problem"] = null;
  if (options.ready === undefined) await startDrain(app, ref);
  else {
    const delivering = deliverQueued(crew, ref, given.delivery, options.ready).catch(drainLater(app, ref));
    await delivering.catch((error) => {
      const { kind, code, message, exitCode, nextSteps } = asFault(error);
      problem = { name: ref.name, error: kind, code, message, exitCode, nextSteps: [...nextSteps] };
    });
  }
  return { ...spawned, task: given.task, delivery: await showDelivery(crew.context.store.db, given.delivery), problem };
}

/** 0 unless its first prompt is not known to have arrived. */
export const startedExitCode = ({ delivery, problem }: Started) =>
  problem?.exitCode ?? (delivery === null ? 0 : sentExitCode(delivery));

/** What a name is refused with that somebody else just took. */
const TAKEN = ["agent.exists", "workspace.exists", "workspace.in_progress", "workspace.changed"];
const MOST_TRIES = 100;

/** Starts `count` agents at once, with the first names of `ada-1`, `ada-2` … that no agent and no workspace has. */
export async function startSeveral(app: App, { workstream, name }: AgentRef, count: number, options: SpawnOptions) {
  const { db } = app.context.store;
  let last = 0;
  const next = async (): Promise<AgentRef> => {
    const ref = { workstream, name: `${name}-${++last}` };
    const isOpen = (await findAgent(db, ref))?.closed_at === null;
    return isOpen || (await findWorkspaceRow(db, ref)) !== undefined ? next() : ref;
  };
  const names: AgentRef[] = [];
  while (names.length < count) names.push(await next());
  const start = async (ref: AgentRef, tries = 0): Promise<Started> => {
    try {
      return await startOne(app, ref, options);
    } catch (error) {
      if (tries >= MOST_TRIES || !TAKEN.includes(asFault(error).code)) throw error;
      return start(await next(), tries + 1);
    }
  };
  return withEach(names, start, { order: "at once", signal: app.request.signal });
}

/** What makes sense for an agent that was started. */
export function stepsFor({ agent, task, delivery, problem }: Started): NextSteps {
  const at = qualifiedName(agent);
  return [
    ...(problem?.nextSteps ?? []),
    ...(delivery === null
      ? [step("Send it a prompt", `mu agent send ${at} 'Run mu task claim --next and do it'`)]
      : []),
    ...(task === null ? [] : [step("Wait for its task", `mu task wait ${qualifiedName(task)}`)]),
    step("Show it", `mu agent attach ${at}`),
    step("List the agents", `mu agent list -w ${agent.workstream}`),
  ];
}

/** Lines about an agent that was started. */
export function startedLines({ agent, readiness, workspace, task, delivery, problem }: Started, paint: Paint): Drawing {
  const state = readiness?.ready ? readiness.status : `not ready yet, ${readiness?.reason}`;
  return [
    `Spawned ${paint.bold(agent.name)} (${agent.cli}) in ${agent.workstream}, pane ${agent.pane}${readiness ? `: ${state}` : ""}`,
    workspace && `  in its workspace${workspace.reused ? ", which was there already" : ""}: ${workspace.path}`,
    task && `  claimed ${paint.bold(task.name)} for it: ${task.title}`,
    problem !== null && `  ! ${problem.message}`,
    delivery !== null && problem === null && `  ${givenLine(delivery, paint)}`,
  ];
}

const givenLine = (delivery: TypeOf<typeof DELIVERY>, paint: Paint) =>
  delivery.state === "queued"
    ? `its prompt waits until it is ready: delivery ${delivery.id}`
    : sentLine(delivery, paint);
