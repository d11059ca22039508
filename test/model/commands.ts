import { join } from "node:path";
import fc from "fast-check";
import { expect } from "vitest";
import type { Crew } from "../../src/agents/crew.js";
import {
  applyVerb,
  cancelDelivery,
  change,
  deliveryRow,
  enqueue,
  reserve,
  showDelivery,
} from "../../src/agents/delivery/outbox.js";
import type { Context } from "../../src/db/context.js";
import type { RowOf } from "../../src/db/write.js";
import { Fault } from "../../src/errors.js";
import { landTasks } from "../../src/landing/land.js";
import type { AgentRef } from "../../src/names.js";
import { claimTask } from "../../src/tasks/claim.js";
import { listTasks } from "../../src/tasks/task.js";
import { finishTask } from "../../src/work/finish.js";
import { workBeforeClaim } from "../../src/work/work.js";
import { doAct } from "../support/claim-acts.js";
import { type ClaimAct, type ClaimState, promised, UNCLAIMED } from "../support/claims.js";
import type { Workshop } from "../support/workshop.js";

export const TASKS = ["t0", "t1", "t2"] as const;
export const AGENTS = ["w1", "w2"] as const;
const WORKERS = [...AGENTS, "p1"] as const;

type Work = "none" | "finished" | "landed";

interface Prompt {
  agent: string;
  text: string;
  state: "queued" | "pasted" | "proved" | "unproved" | "refused" | "cancelled";
  typed: number;
}

/** What must be true of the store, in as few words as can be. */
export interface Model {
  now: number;
  tasks: Map<string, ClaimState & { work: Work }>;
  prompts: Prompt[];
  /** The subject of every commit that has landed. */
  main: string[];
  works: number;
}

export const newModel = (now: number): Model => ({
  now,
  tasks: new Map(TASKS.map((name) => [name, { ...UNCLAIMED, work: "none" }])),
  prompts: [],
  main: [],
  works: 0,
});

/** The real thing: a workstream of its own, on a clock that the model sets. */
export interface Real {
  context: Context;
  workstream: string;
  setClock(now: number): void;
  agents: Map<string, RowOf<"agents">>;
  /** Ids by the place of the prompt in the model. */
  deliveries: number[];
  /** Where landings are tried. */
  shop?: Workshop;
}

type Command = fc.AsyncCommand<Model, Real>;

/** A command that is compared with the model in all that can be seen. */
function command(
  text: string,
  run: (model: Model, real: Real) => Promise<void>,
  check: (model: Model) => boolean = () => true,
): Command {
  return {
    check,
    async run(model, real) {
      await run(model, real);
      await compare(model, real);
    },
    toString: () => text,
  };
}

async function compare({ tasks, prompts }: Model, { context, workstream, deliveries }: Real): Promise<void> {
  const { db } = context.store;
  const seen = (await listTasks(db, { workstream })).map(({ name, status, owner, leaseUntil, level }) => ({
    ...{ name, status, owner, isLanded: level === "landed" },
    leaseUntil: leaseUntil === null ? null : Date.parse(leaseUntil),
  }));
  const wanted = [...tasks].map(([name, { work, ...claim }]) => ({ name, ...claim, isLanded: work === "landed" }));
  expect(seen.sort((a, b) => a.name.localeCompare(b.name))).toEqual(wanted);
  for (const [n, { state, typed, agent }] of prompts.entries())
    expect(await deliveryRow(db, deliveries[n] as number)).toMatchObject({ state, attempt: typed, agent });
}

const claim = (task: string, act: ClaimAct): Command =>
  command(
    `${act.by} ${act.act} ${task} ${act.leaseSeconds ?? ""}`,
    async (model, { context, workstream }) => {
      const { work, ...before } = model.tasks.get(task) as ClaimState & { work: Work };
      const [answer, after] = promised(before, act, model.now);
      expect(await doAct(context, { workstream, name: task }, act)).toMatchObject({ answer });
      // Only a status that stays keeps what is known of the work.
      model.tasks.set(task, { ...after, work: after.status === before.status ? work : "none" });
    },
    (model) => !(model.tasks.get(task)?.work === "finished" && act.act === "open"),
  );

const wait = (seconds: number): Command =>
  command(`wait ${seconds} s`, async (model, real) => {
    model.now += seconds * 1000;
    real.setClock(model.now);
  });

const isPending = ({ state }: Prompt) => state === "queued" || state === "pasted";

const send = (agent: string, text: string): Command =>
  command(`send ${agent} ${text}`, async ({ prompts }, { context, agents, deliveries }) => {
    const row = await enqueue(context, agents.get(agent) as RowOf<"agents">, { text, sender: "tester" });
    // A retry may have queued a text again that was sent anew meanwhile: then two wait, and either is the answer.
    const known = deliveries.filter((_, n) => {
      const one = prompts[n] as Prompt;
      return isPending(one) && one.agent === agent && one.text === text;
    });
    if (known.length > 0) return expect(known).toContain(row.id);
    expect(deliveries).not.toContain(row.id);
    deliveries.push(row.id);
    prompts.push({ agent, text, state: "queued", typed: 0 });
  });

/** Of any prompt, also one that another process has typed meanwhile. */
const type = (n: number): Command =>
  command(
    `type ${n}`,
    async ({ prompts }, { context, deliveries }) => {
      const one = prompts[n % prompts.length] as Prompt;
      const row = await deliveryRow(context.store.db, deliveries[n % prompts.length] as number);
      const isTyped = prompts.some(({ agent, state }) => agent === one.agent && state === "pasted");
      const reserved = await reserve(context, row, null);
      expect(reserved !== undefined).toBe(one.state === "queued" && !isTyped);
      if (reserved !== undefined) Object.assign(one, { state: "pasted", typed: one.typed + 1 });
    },
    ({ prompts }) => prompts.length > 0,
  );

/** What may come of a prompt: only what was typed can be proved, and only what waits can be cancelled. */
const ENDS = {
  prove: { of: ["pasted", "unproved"], to: "proved" },
  doubt: { of: ["pasted", "unproved"], to: "unproved" },
  refuse: { of: ["queued", "pasted"], to: "refused" },
  withdraw: { of: ["pasted"], to: "queued" },
} as const satisfies Record<string, { of: readonly Prompt["state"][]; to: Prompt["state"] }>;

const end = (n: number, verb: keyof typeof ENDS): Command =>
  command(
    `${verb} ${n}`,
    async ({ prompts }, { context, deliveries }) => {
      const one = prompts[n % prompts.length] as Prompt;
      await change(context, deliveries[n % prompts.length] as number, verb, null);
      if ((ENDS[verb].of as readonly string[]).includes(one.state)) one.state = ENDS[verb].to;
    },
    ({ prompts }) => prompts.length > 0,
  );

const decide = (n: number, verb: "cancel" | "retry"): Command =>
  command(
    `${verb} ${n}`,
    async ({ prompts }, { context, deliveries }) => {
      const one = prompts[n % prompts.length] as Prompt;
      const id = deliveries[n % prompts.length] as number;
      const retry = async () => applyVerb(context, await showDelivery(context.store.db, id), "retry");
      const code = await (verb === "cancel" ? cancelDelivery(context, id) : retry()).then(
        () => "done",
        (error) => (error instanceof Fault ? error.code : Promise.reject(error)),
      );
      const may = verb === "cancel" ? one.state === "queued" : ["unproved", "refused", "cancelled"].includes(one.state);
      expect(code).toBe(may ? "done" : "delivery.settled");
      if (may) one.state = verb === "cancel" ? "cancelled" : "queued";
    },
    ({ prompts }) => prompts.length > 0,
  );

/** Claims an open task, commits a file of its own in the agent's workspace, and closes it. */
const finish = (name: string, by: string): Command =>
  command(
    `${by} finishes ${name}`,
    async (model, { context, workstream, shop }) => {
      const { crew, repository } = shop as Workshop;
      const [task, agent] = [
        { workstream, name },
        { workstream, name: by },
      ];
      const subject = `work ${model.works++}`;
      const work = await workBeforeClaim(crew, context.store.db, agent, name, repository.root);
      await claimTask(context, task, { agent: by }, { work });
      await repository.commit({ [`${subject}.txt`]: subject }, subject, workspaceOf(crew, agent));
      await finishTask(crew, task, { agent: by }, { cwd: repository.root, check: null });
      model.tasks.set(name, { status: "CLOSED", owner: by, leaseUntil: null, work: "finished" });
      model.main.push(subject);
    },
    (model) => model.tasks.get(name)?.status === "OPEN",
  );

const workspaceOf = ({ stateDir }: Crew, { workstream, name }: AgentRef) =>
  join(stateDir, "workspaces", workstream, name);

/** All that is finished lands, once, and nothing else does. */
const land = command("land", async (model, { workstream, shop }) => {
  const { crew, repository } = shop as Workshop;
  const finished = [...model.tasks].filter(([, { work }]) => work === "finished").map(([name]) => name);
  const { landed, returned } = await landTasks(crew, { workstream }, { check: null });
  expect(returned).toEqual([]);
  expect(landed.map(({ task }) => task).sort()).toEqual(finished);
  for (const name of finished) model.tasks.set(name, { ...(model.tasks.get(name) as ClaimState), work: "landed" });
  const subjects = (await repository.git("log", "--format=%s", "main")).split("\n").slice(0, -1);
  expect(subjects.sort()).toEqual([...model.main].sort());
});

const task = fc.constantFrom(...TASKS);
const worker = fc.constantFrom(...WORKERS);
const agent = fc.constantFrom(...AGENTS);
const nth = fc.nat(5);
const lease = fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined });

export const claims: fc.Arbitrary<Command>[] = [
  fc
    .tuple(task, worker, fc.constantFrom("claim" as const, "steal" as const), lease)
    .map(([name, by, act, leaseSeconds]) =>
      claim(name, { act, by, ...(leaseSeconds !== undefined && { leaseSeconds }) }),
    ),
  fc
    .tuple(task, worker, fc.constantFrom("release" as const, "close" as const, "open" as const))
    .map(([name, by, act]) => claim(name, { act, by })),
  fc.integer({ min: 1, max: 6 }).map(wait),
];

export const deliveries: fc.Arbitrary<Command>[] = [
  fc.tuple(agent, fc.constantFrom("go", "stop")).map(([name, text]) => send(name, text)),
  nth.map(type),
  fc.tuple(nth, fc.constantFrom("prove", "doubt", "refuse", "withdraw")).map(([n, verb]) => end(n, verb)),
  fc.tuple(nth, fc.constantFrom("cancel", "retry")).map(([n, verb]) => decide(n, verb)),
];

export const landings: fc.Arbitrary<Command>[] = [
  fc.tuple(task, agent).map(([name, by]) => finish(name, by)),
  fc.constant(land),
];
