import { sql } from "kysely";
import type { Reader } from "./db/schema.js";
import { statement } from "./db/statement.js";
import type { TaskRef } from "./names.js";
import { shape, type TypeOf } from "./shape.js";
import { awaitedName, unsatisfied } from "./tasks/edge.js";
import { selectReadyIds } from "./tasks/ready.js";
import { LIVE_STATUSES } from "./tasks/task.js";
import { idsUnder } from "./tasks/tree.js";
import { type TopologicalOrder, topologicalOrder } from "./topology.js";
import { workstreamRow } from "./workstreams/workstream.js";

/**
 * Goals and all that they wait for; no two tracks share a task, so agents on two tracks never wait for each other.
 * Everything in it is a name.
 */
export const TRACK = shape({
  /** Live tasks that no live task waits for. */
  goals: "string[]",
  /** Every live task of the track. */
  tasks: "string[]",
  size: "number",
  /** What can be started now, in ready order. */
  ready: "string[]",
  /** The longest chain of live tasks, first one first: a lower bound for any crew. */
  criticalPath: { days: "number", tasks: "string[]" },
  /** The owners of its tasks. */
  owners: "string[]",
  /** CLOSED tasks that still block it until they are verified or landed, as `build@landed`. */
  waitsFor: "string[]",
});

export type Track = TypeOf<typeof TRACK>;

/** A live task as tracks need it. */
export interface LiveTask {
  id: number;
  name: string;
  /** Days. */
  effort_days: number;
  /** Name of the agent or person that works on it. */
  owner: string | null;
}

/** An edge into a live task; ignored if its blocker is not live. */
export interface LiveEdge {
  blocker_id: number;
  blocked_id: number;
}

/**
 * The tracks of a workstream, by the name of their first goal; `now` is an `…_at` timestamp.
 * `under` leaves only the subtree of that task. Faults `workstream.not_found`, `task.not_found`.
 */
export async function listTracks(db: Reader, workstream: string, now: string, under?: TaskRef): Promise<Track[]> {
  const { id } = await workstreamRow(db, workstream);
  const among = await idsUnder(db, under);
  return readTracks(db, id, await selectReadyIds(db, { workstreamId: id, now }), among);
}

/** The tracks of a workstream given by row id; `ready` are its ready tasks, best first. Of tasks `among` these, if given. */
export async function readTracks(
  db: Reader,
  workstreamId: number,
  ready: readonly { id: number }[],
  among?: ReadonlySet<number>,
): Promise<Track[]> {
  const [columns] = await selectLiveTasks(db, { workstreamId });
  const names = parseTexts(columns?.names);
  const efforts = parseNumbers(columns?.efforts);
  const owners = parseTexts(columns?.owners);
  const all = parseNumbers(columns?.ids).map((id, row) => ({
    id,
    name: names[row] as string,
    effort_days: at(efforts, row),
    owner: owners[row] || null,
  }));
  const tasks = among === undefined ? all : all.filter(({ id }) => among.has(id));
  const [edges] = await selectLiveEdges(db, { workstreamId });
  const graph = indexed(tasks, parseNumbers(edges?.blockers), parseNumbers(edges?.blocked));
  return tracksOf(graph, ready, await selectLevelWaits(db, { workstreamId }));
}

/** Few edges ask for a level, and a partial index has them. */
const selectLevelWaits = statement((db, { workstreamId }: { workstreamId: number }) =>
  db
    .selectFrom("task_edges as e")
    .innerJoin("tasks as b", "b.id", "e.blocker_id")
    .innerJoin("tasks as d", "d.id", "e.blocked_id")
    .select(["e.blocked_id", "e.until", "b.name"])
    .where(sql<boolean>`e.until <> 'closed'`)
    .where("d.workstream_id", "=", workstreamId)
    .where("d.status", "in", LIVE_STATUSES)
    .where("b.status", "=", sql<string>`'CLOSED'`)
    .where(unsatisfied),
);

/** A column of thousands of rows is read as one text, because a row object for each costs twice as much. */
const numbers = (column: string) => sql<string | null>`string_agg(cast(${sql.ref(column)} as text), ',')`;
const texts = (column: string) => sql<string | null>`string_agg(coalesce(${sql.ref(column)}, ''), '\n')`;

const parseNumbers = (joined: string | null | undefined): number[] => JSON.parse(`[${joined ?? ""}]`);
const parseTexts = (joined: string | null | undefined): string[] => joined?.split("\n") ?? [];

const selectLiveTasks = statement((db, { workstreamId }: { workstreamId: number }) =>
  db
    .selectFrom("tasks as t")
    .leftJoin("agents as o", "o.id", "t.owner_id")
    .select([
      numbers("t.id").as("ids"),
      texts("t.name").as("names"),
      numbers("t.effort_days").as("efforts"),
      texts("o.name").as("owners"),
    ])
    .where("t.workstream_id", "=", workstreamId)
    .where("t.status", "in", LIVE_STATUSES),
);

/** Answered from indexes alone, which is why the blockers' status is not asked for. */
const selectLiveEdges = statement((db, { workstreamId }: { workstreamId: number }) =>
  db
    .selectFrom("tasks as d")
    .innerJoin("task_edges as e", "e.blocked_id", "d.id")
    .select([numbers("e.blocker_id").as("blockers"), numbers("e.blocked_id").as("blocked")])
    .where("d.workstream_id", "=", workstreamId)
    .where("d.status", "in", LIVE_STATUSES),
);

/** A live task and a CLOSED one that still blocks it, until that is `until`. */
export interface LevelWait {
  blocked_id: number;
  name: string;
  until: string;
}

/**
 * The tracks of all live tasks and the edges into them, in any order; `ready` are the ready tasks, best
 * first. Union-find over the edges, then one pass over the tasks in the order of their names: O((V + E) log V).
 */
export function computeTracks(
  tasks: readonly LiveTask[],
  edges: readonly LiveEdge[],
  ready: readonly { id: number }[] = [],
  waits: readonly LevelWait[] = [],
): Track[] {
  const blockers = edges.map((edge) => edge.blocker_id);
  const blocked = edges.map((edge) => edge.blocked_id);
  return tracksOf(indexed(tasks, blockers, blocked), ready, waits);
}

function tracksOf(graph: Graph, ready: readonly { id: number }[], waits: readonly LevelWait[]): Track[] {
  const { tasks } = graph;
  const roots = joinedRoots(graph);
  const chains = longestChains(graph);
  const tracks: Track[] = [];
  const ends: number[] = [];
  const trackOf = new Int32Array(tasks.length).fill(-1);

  for (let position = 0; position < tasks.length; position++) {
    const root = at(roots, position);
    if (!isGoal(graph, position) || at(trackOf, root) >= 0) continue;
    trackOf[root] = tracks.length;
    tracks.push(emptyTrack());
    ends.push(position);
  }
  const numberOf = (position: number) => at(trackOf, at(roots, position));
  for (let position = 0; position < tasks.length; position++) {
    const number = numberOf(position);
    const track = tracks[number];
    if (track === undefined) continue;
    const task = taskAt(graph, position);
    track.tasks.push(task.name);
    if (isGoal(graph, position)) track.goals.push(task.name);
    if (at(chains.days, position) > at(chains.days, at(ends, number))) ends[number] = position;
    if (task.owner !== null) track.owners.push(task.owner);
  }
  for (const { id } of ready) {
    const position = graph.positions.get(id);
    if (position !== undefined) tracks[numberOf(position)]?.ready.push(taskAt(graph, position).name);
  }
  for (const wait of waits) {
    const position = graph.positions.get(wait.blocked_id);
    if (position !== undefined) tracks[numberOf(position)]?.waitsFor.push(awaitedName(wait));
  }
  for (const [number, track] of tracks.entries()) finish(track, graph, chains, at(ends, number));
  return tracks;
}

/** A task is known by its position in `tasks`; the arrays beside it are indexed by that, the edges' by each other's. */
interface Graph {
  /** By name. */
  tasks: readonly LiveTask[];
  positions: ReadonlyMap<number, number>;
  blockers: Int32Array;
  blocked: Int32Array;
  topology: TopologicalOrder;
}

/** A task that blocks none. */
const isGoal = ({ topology: { starts } }: Graph, position: number) => at(starts, position) === at(starts, position + 1);

/** The edges are given by the row ids of their ends. */
function indexed(unsorted: readonly LiveTask[], blockerIds: readonly number[], blockedIds: readonly number[]): Graph {
  const tasks = [...unsorted].sort((a, b) => (a.name < b.name ? -1 : 1));
  const positions = new Map<number, number>();
  for (let position = 0; position < tasks.length; position++) positions.set((tasks[position] as LiveTask).id, position);

  const blockers = new Int32Array(blockerIds.length);
  const blocked = new Int32Array(blockerIds.length);
  let kept = 0;
  for (let edge = 0; edge < blockerIds.length; edge++) {
    const from = positions.get(at(blockerIds, edge));
    const to = positions.get(at(blockedIds, edge));
    if (from === undefined || to === undefined) continue;
    blockers[kept] = from;
    blocked[kept] = to;
    kept++;
  }
  const ends = [blockers.subarray(0, kept), blocked.subarray(0, kept)] as const;
  return { tasks, positions, blockers: ends[0], blocked: ends[1], topology: topologicalOrder(tasks.length, ...ends) };
}

/** The number at `index`, which is known to be inside. */
function at(array: ArrayLike<number>, index: number): number {
  return array[index] as number;
}

function taskAt(graph: Graph, position: number): LiveTask {
  return graph.tasks[position] as LiveTask;
}

function emptyTrack(): Track {
  return { goals: [], tasks: [], size: 0, ready: [], criticalPath: { days: 0, tasks: [] }, owners: [], waitsFor: [] };
}

function finish(track: Track, graph: Graph, chains: Chains, end: number): void {
  track.size = track.tasks.length;
  track.owners = [...new Set(track.owners)].sort();
  track.waitsFor = [...new Set(track.waitsFor)].sort();
  track.criticalPath.days = Number(at(chains.days, end).toPrecision(12));
  for (let position = end; position >= 0; position = at(chains.before, position)) {
    track.criticalPath.tasks.push(taskAt(graph, position).name);
  }
  track.criticalPath.tasks.reverse();
}

/** Union-find with path halving: for each task the root of its set. */
function joinedRoots({ tasks, blockers, blocked }: Graph): Int32Array {
  const parent = Int32Array.from(tasks, (_, position) => position);
  const find = (position: number): number => {
    let root = position;
    for (let above = at(parent, root); above !== root; above = at(parent, root)) {
      parent[root] = at(parent, above);
      root = at(parent, root);
    }
    return root;
  };
  for (let edge = 0; edge < blockers.length; edge++) parent[find(at(blockers, edge))] = find(at(blocked, edge));
  return parent.map((_, position) => find(position));
}

interface Chains {
  /** Days of the longest chain that ends with the task. */
  days: Float64Array;
  /** The task before it on that chain, or -1. */
  before: Int32Array;
}

/** Longest chains in topological order; ties go to the first by name, so input order does not matter. */
function longestChains({ tasks, topology: { order, starts, next } }: Graph): Chains {
  const days = new Float64Array(tasks.length);
  const before = new Int32Array(tasks.length).fill(-1);
  for (let place = 0; place < order.length; place++) {
    const from = order[place] as number;
    const length = (days[from] as number) + (tasks[from] as LiveTask).effort_days;
    days[from] = length;
    const end = starts[from + 1] as number;
    for (let slot = starts[from] as number; slot < end; slot++) {
      const to = next[slot] as number;
      const known = days[to] as number;
      if (length < known || (length === known && from > (before[to] as number))) continue;
      days[to] = length;
      before[to] = from;
    }
  }
  return { days, before };
}
