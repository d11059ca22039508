import { type AgentRow, agentRows, currentTasks, PANELESS } from "../agents/agent.js";
import { drainDeliveries } from "../agents/delivery/drain.js";
import { observeAgents } from "../agents/status/observe.js";
import { queueTaskIn } from "../crew/first-prompt.js";
import { timestamp } from "../db/context.js";
import type { Reader } from "../db/schema.js";
import { write } from "../db/write.js";
import { asFault } from "../errors.js";
import { qualifiedName } from "../names.js";
import { micros } from "../runs/run.js";
import { dayOf, spendOfDay } from "../runs/spend.js";
import { type ClaimOptions, claimNextIn } from "../tasks/claim.js";
import { releaseTaskIn } from "../tasks/lifecycle.js";
import { insertNote } from "../tasks/notes.js";
import { loadGlobs } from "../tasks/ready.js";
import type { Task } from "../tasks/task.js";
import { workBeforeClaim } from "../work/work.js";
import type { DispatchWorld } from "./dispatch.js";
import { brakeReason, type Scene } from "./facts.js";

const SENDER = "dispatch";

/**
 * Hands ready tasks to idle agents in panes: each the best one for its role, or for none. The claim and the prompt are one
 * write; the prompt is typed and proved like any other. A prompt that a pane refuses gives its task back, with a note, and
 * that agent gets no other one until its status changes. Gives the tasks that agents hold from here.
 */
export async function handOut(world: DispatchWorld, scene: Scene, say: (text: string) => void): Promise<string[]> {
  const { db } = world.context.store;
  const { name } = scene.workstream;
  await takeBack(world, scene, say);
  if (brakeReason(scene) === null) {
    await observeAgents(world, { workstream: name });
    const held = await currentTasks(db);
    const spent = await spendOfDay(db, scene.workstream.id, dayOf(timestamp(world.context.clock)));
    for (const agent of await agentRows(db, name)) {
      const isFree = agent.status === "idle" && !PANELESS.includes(agent.cli) && !held.has(agent.id);
      if (!isFree || !mayGet(scene, agent.role) || !isPaid(scene, agent.role, spent)) continue;
      if (await isSpokenTo(db, agent)) continue;
      const task = await handTo(world, scene, agent);
      if (task !== undefined) say(`${agent.name} is given ${task.name}`);
    }
    await drainDeliveries(world, { workstream: name }).catch((error) => say(asFault(error).message));
    await takeBack(world, scene, say);
  }
  return handed(db, scene);
}

const mayGet = ({ roles }: Scene, role: string | null) => roles === undefined || (role !== null && roles.has(role));

/** Whether neither the role's cap nor the ceiling is used up. */
function isPaid({ settings }: Scene, role: string | null, spent: Awaited<ReturnType<typeof spendOfDay>>): boolean {
  const sum = (of: typeof spent) => of.reduce((total, { settled, reserved }) => total + settled + reserved, 0);
  const isUnder = (cap: number | null | undefined, used: number) => cap == null || used < micros(cap);
  const cap = settings.roles[role ?? ""]?.dailyCapUsd;
  return (
    isUnder(settings.budget.projectCeilingUsd, sum(spent)) &&
    isUnder(cap, sum(spent.filter((one) => one.role === role)))
  );
}

/** Whether a prompt waits for it, or was refused since its status last changed. */
async function isSpokenTo(db: Reader, { id, status_since }: AgentRow): Promise<boolean> {
  const last = await db
    .selectFrom("deliveries")
    .select(["state", "updated_at"])
    .where("agent_id", "=", id)
    .orderBy("id", "desc")
    .limit(1)
    .executeTakeFirst();
  if (last === undefined) return false;
  if (last.state === "queued" || last.state === "pasted") return true;
  return ["refused", "unproved"].includes(last.state) && last.updated_at >= (status_since ?? "");
}

/** Claims the best task for an agent and queues the prompt that says so. Undefined if nothing is ready for it. */
async function handTo(world: DispatchWorld, { workstream }: Scene, agent: AgentRow): Promise<Task | undefined> {
  const { name } = workstream;
  const { db } = world.context.store;
  const globs = await loadGlobs(db, name);
  const work: ClaimOptions["work"] = await workBeforeClaim(
    world,
    db,
    { workstream: name, name: agent.name },
    undefined,
  );
  try {
    return await write(world.context, { op: "task.claim", scope: name, subject: name }, async (tx) => {
      // Another dispatcher may have been first.
      if ((await currentTasks(tx.db)).has(agent.id)) return undefined;
      const claimant = { agent: agent.name, incarnation: agent.id };
      const { task } = await claimNextIn(tx, name, claimant, { globs, work });
      tx.about(qualifiedName(task));
      tx.addPayload({ owner: agent.name });
      await queueTaskIn(tx, agent, task, { sender: SENDER });
      return task;
    });
  } catch (error) {
    const { code } = asFault(error);
    if (code === "task.none_ready" || code.startsWith("agent.")) return undefined;
    throw error;
  }
}

const selectHanded = (db: Reader, { workstream }: Scene) =>
  db
    .selectFrom("deliveries as d")
    .innerJoin("tasks as t", "t.id", "d.task_id")
    .innerJoin("agents as a", (join) => join.onRef("a.id", "=", "d.agent_id").onRef("a.id", "=", "t.owner_id"))
    .select(["t.name", "t.id", "d.id as delivery", "d.state", "d.reason", "a.name as agent", "a.id as agent_id"])
    .where("d.workstream_id", "=", workstream.id)
    .where("d.sender", "=", SENDER)
    .where("t.status", "=", "IN_PROGRESS");

const handed = async (db: Reader, scene: Scene) => (await selectHanded(db, scene).execute()).map(({ name }) => name);

/** Gives back the tasks whose prompt did not arrive. */
async function takeBack(world: DispatchWorld, scene: Scene, say: (text: string) => void): Promise<void> {
  const { name: workstream } = scene.workstream;
  const lost = await selectHanded(world.context.store.db, scene)
    .where("d.state", "in", ["refused", "cancelled"])
    .execute();
  for (const { id, name, agent, agent_id, reason, delivery } of lost) {
    const ref = { workstream, name };
    await write(world.context, { op: "task.release", scope: workstream, subject: qualifiedName(ref) }, async (tx) => {
      await releaseTaskIn(tx, ref, { agent, incarnation: agent_id });
      // What the agent claims by itself later is not this prompt's any more.
      await tx.db.updateTable("deliveries").set({ task_id: null }).where("id", "=", delivery).execute();
      await insertNote(tx, id, SENDER, {
        text: `${agent} could not be given it: ${reason ?? "the prompt was cancelled"}`,
      });
    });
    say(`${agent} did not take ${name}: ${reason ?? "the prompt was cancelled"}`);
  }
}
