import { link, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { pollUntil } from "../../clock.js";
import { timestamp } from "../../db/context.js";
import type { RowOf } from "../../db/write.js";
import { ignoreFault } from "../../errors.js";
import type { Host } from "../../host.js";
import type { AgentRef } from "../../names.js";
import { isProcessAlive, processIdentity } from "../../processes.js";
import { writeWhole } from "../../whole-file.js";
import { findAgent, findOpenAgent, openAgent } from "../agent.js";
import { getAgentCli } from "../clis/table.js";
import type { TmuxHost } from "../crew.js";
import { sessionOf } from "../feed.js";
import { viewAgent } from "../occupant.js";
import { findOwnPane } from "../pane.js";
import { reportDelivery, spoolPath } from "../spool.js";
import { deliverNext, type PollOptions } from "./deliver.js";
import {
  change,
  type Delivery,
  type DeliveryRow,
  firstPending,
  inheritOutbox,
  reserve,
  showDelivery,
} from "./outbox.js";
import { feedSince, findEvidence, provedByTurns, takeBaseline } from "./proof.js";

/**
 * Types what waits in outboxes to the agents that are ready now, settles what was interrupted, and looks once more for
 * evidence of what was typed. Gives what it settled. Each agent gets one prompt at most: then it is busy.
 */
export async function drainDeliveries(host: TmuxHost, scope: { workstream?: string | undefined } = {}) {
  const { db } = host.context.store;
  let waiting = db
    .selectFrom("agents as a")
    .innerJoin("workstreams as w", "w.id", "a.workstream_id")
    .selectAll("a")
    .where("a.id", "in", (e) =>
      e.selectFrom("deliveries").select("agent_id").where("state", "in", ["queued", "pasted"]),
    );
  if (scope.workstream !== undefined) waiting = waiting.where("w.name", "=", scope.workstream);
  const settled = await Promise.all((await waiting.execute()).map((row) => deliverOrPassOn(host, row)));
  const late = await reviewDeliveries(host, scope);
  const ids = [...settled, ...late].flatMap((row) => (row === undefined ? [] : [row.id]));
  return Promise.all([...new Set(ids)].map((id) => showDelivery(db, id)));
}

/** What waits for a closed incarnation goes to the open one of its name, if its spawn came too early to see it. */
async function deliverOrPassOn(host: TmuxHost, agent: RowOf<"agents">): Promise<DeliveryRow | undefined> {
  const { clock, store } = host.context;
  const heir = agent.closed_at === null ? undefined : await findOpenAgent(store.db, agent.workstream_id, agent.name);
  if (heir !== undefined) await store.write((db) => inheritOutbox({ db, now: timestamp(clock) }, heir));
  return deliverNext(host, heir ?? agent);
}

/**
 * Types to one agent until nothing waits for it any more, it is gone, or the time is over. Only one process does so
 * for an agent at a time: another one returns at once. Faults `agent.not_found`, `tmux.*`.
 */
export async function drainAgent(host: TmuxHost, ref: AgentRef, pollOptions: PollOptions): Promise<Delivery[]> {
  const { clock, store } = host.context;
  const first = await openAgent(store.db, ref);
  const release = await holdOutbox(host, first);
  if (release === undefined) return [];
  const settled = new Set<number>();
  const once = async () => {
    const agent = await findAgent(store.db, ref);
    if (agent?.id !== first.id || agent.closed_at !== null || (await findOwnPane(host, agent)) === undefined)
      return true;
    const row = await deliverNext(host, agent);
    if (row !== undefined) settled.add(row.id);
    return (await firstPending(store.db, agent.id)) === undefined ? true : undefined;
  };
  await pollUntil(clock, once, pollOptions).finally(release);
  return Promise.all([...settled].map((id) => showDelivery(store.db, id)));
}

/** A file that names the process at an agent's outbox; undefined while that one is alive. Else what lets go of it. */
async function holdOutbox(host: Host, agent: RowOf<"agents">): Promise<(() => Promise<void>) | undefined> {
  const path = join(host.stateDir, "drains", `${agent.id}-${Date.parse(agent.spawned_at)}`);
  const draft = `${path}.${process.pid}`;
  const take = () =>
    link(draft, path).then(
      () => true,
      () => false,
    );
  const release = () => rm(path, { force: true });
  await writeWhole(draft, await processIdentity(host));
  try {
    if (await take()) return release;
    const holder = await readFile(path, "utf8").catch(() => "");
    if (holder !== "" && (await isProcessAlive(host, holder))) return undefined;
    await release();
    return (await take()) ? release : undefined;
  } finally {
    await rm(draft, { force: true });
  }
}

/**
 * Hands the next text in the outbox to the agent itself, which fetches it at the end of a turn in its own conversation:
 * `session` is the one that asks. Nothing is typed. Undefined if nothing waits, or another conversation asks. The
 * agent's feed records it; its next event proves it.
 */
export async function pullDelivery(host: Host, agentId: number, session?: string): Promise<Delivery | undefined> {
  const { context, stateDir } = host;
  const { db } = context.store;
  const row = await firstPending(db, agentId);
  if (row?.state !== "queued") return undefined;
  const agent = await db.selectFrom("agents").selectAll().where("id", "=", agentId).executeTakeFirstOrThrow();
  const cli = getAgentCli(agent.cli);
  const own = sessionOf({ events: await feedSince(host, { agent, cli }, 0) }) ?? agent.session_ref ?? undefined;
  if (session !== own) return undefined;
  const taken = await reserve(context, row, JSON.stringify(await takeBaseline(host, agent, { cli, text: row.text })));
  if (taken === undefined) return undefined;
  await reportDelivery(spoolPath(stateDir, agentId), { ...taken, at: context.clock.now().getTime() });
  await change(context, taken.id, "hand", "printed into its stop hook; its next event will show whether it took it");
  return showDelivery(db, taken.id);
}

/** Evidence is looked for this long after the text was typed (ms); on the screen, which scrolls, less long. */
const [LOOK_MS, SCREEN_MS] = [24 * 3_600_000, 3_600_000];
const MOST = 50;

/**
 * Looks once more for evidence of what was typed or handed without proof: a receiver that was stuck takes its text
 * late. Gives what is settled by it.
 */
export async function reviewDeliveries(
  host: TmuxHost,
  { id, workstream }: { id?: number; workstream?: string | undefined } = {},
): Promise<DeliveryRow[]> {
  const since = new Date(host.context.clock.now().getTime() - LOOK_MS).toISOString();
  let open = host.context.store.db
    .selectFrom("deliveries as d")
    .innerJoin("workstreams as w", "w.id", "d.workstream_id")
    .selectAll("d")
    .where("d.state", "in", ["handed", "unproved"])
    .where("d.pasted_at", ">", since);
  if (id !== undefined) open = open.where("d.id", "=", id);
  if (workstream !== undefined) open = open.where("w.name", "=", workstream);
  const rows = await open.orderBy("d.id", "desc").limit(MOST).execute();
  return (await Promise.all(rows.map((row) => review(host, row)))).flat();
}

async function review(host: TmuxHost, row: DeliveryRow): Promise<DeliveryRow[]> {
  const { context } = host;
  const agents = context.store.db.selectFrom("agents").selectAll().where("id", "=", row.agent_id);
  const agent = await agents.executeTakeFirst();
  if (agent === undefined) return [];
  const cli = getAgentCli(agent.cli);
  const found = await findEvidence(host, { agent, cli, row });
  if (found !== undefined) return [await change(context, row.id, found.as, found.why)];
  const age = context.clock.now().getTime() - Date.parse(row.pasted_at ?? row.updated_at);
  if (row.state !== "unproved" || agent.closed_at !== null || cli.proof.by === "echo" || age > SCREEN_MS) return [];
  const unreachable = ignoreFault("tmux.unreachable", "tmux.not_installed");
  const pane = await findOwnPane(host, agent).catch(unreachable);
  const look = pane && (await viewAgent(host, agent, pane).catch(unreachable));
  const why = look && provedByTurns(cli, row, look);
  return why === undefined ? [] : [await change(context, row.id, "prove", why)];
}
