import * as dagre from "@dagrejs/dagre";
import { type Context, timestamp } from "../db/context.js";
import { groupBy } from "../groups.js";
import { type BoardTask, readBoard } from "../tasks/board.js";
import { layersOf } from "../tasks/layers.js";
import { selectReadyIds } from "../tasks/ready.js";
import { readTracks, type Track } from "../tracks.js";
import { workstreamRow } from "../workstreams/workstream.js";

/** A task where it stands in the picture, in pixels from the picture's corner. */
export interface PlacedTask
  extends Pick<BoardTask, "name" | "title" | "status" | "level" | "owner" | "hold" | "ready"> {
  x: number;
  y: number;
}

/** The live tasks of a workstream as a picture: what must be done first stands on the left, each track is a band. */
export interface TaskGraph {
  width: number;
  height: number;
  /** The size of each task's box. */
  box: { width: number; height: number };
  tasks: PlacedTask[];
  /** `line`: the corners of the edge, x and y in turn. */
  edges: { from: string; to: string; isCritical: boolean; line: number[] }[];
  bands: { y: number; height: number; goals: string[] }[];
}

const BOX = { width: 168, height: 40 };
const GAP = { track: 24, layer: 48, task: 12, edge: 6, rim: 12 };

/** The last pictures, by workstream: a picture is of one moment of the log. */
const kept = new Map<string, { at: number; graph: TaskGraph }>();
const MOST_KEPT = 20;

/** Draws a workstream's live tasks; `at` is the newest entry of the log. Faults `workstream.not_found`. */
export async function graphOf(context: Context, workstream: string, at: number): Promise<TaskGraph> {
  const known = kept.get(workstream);
  if (known?.at === at) return known.graph;
  const { tasks, tracks } = await context.store.read(async (db) => {
    const { id } = await workstreamRow(db, workstream);
    const now = timestamp(context.clock);
    const [all, ready] = [await readBoard(db, id, now), await selectReadyIds(db, { workstreamId: id, now })];
    return { tasks: all, tracks: await readTracks(db, id, ready, undefined) };
  });
  const graph = layOutTracks(tasks, tracks);
  kept.delete(workstream);
  kept.set(workstream, { at, graph });
  for (const oldest of kept.keys()) if (kept.size > MOST_KEPT) kept.delete(oldest);
  return graph;
}

/** Lays out each track by itself, one below the other: no edge joins two of them. */
export function layOutTracks(tasks: readonly BoardTask[], tracks: readonly Track[]): TaskGraph {
  const byName = new Map(tasks.map((task) => [task.name, task]));
  const critical = new Set(
    tracks.flatMap(({ criticalPath: { tasks } }) => tasks.slice(1).map((to, n) => `${tasks[n]} ${to}`)),
  );
  const graph: TaskGraph = { width: 0, height: 0, box: BOX, tasks: [], edges: [], bands: [] };
  const isLarge = tasks.length + tasks.reduce((sum, { blockers }) => sum + blockers.length, 0) > MOST_FOR_DAGRE;
  const layOut = isLarge ? layOutInLayers : layOutNicely;
  for (const { goals, tasks: names } of tracks) {
    const members = names.flatMap((name) => byName.get(name) ?? []);
    const { width, height, placed, edges } = layOut(members);
    const top = graph.height;
    for (const { x, y, task } of placed) {
      const { name, title, status, level, owner, hold, ready } = task;
      graph.tasks.push({ name, title, status, level, owner, hold, ready, x, y: y + top });
    }
    for (const { from, to, line } of edges) {
      const moved = line.map((value, n) => (n % 2 === 0 ? value : value + top));
      graph.edges.push({ from, to, isCritical: critical.has(`${from} ${to}`), line: moved });
    }
    graph.bands.push({ y: top, height, goals });
    graph.width = Math.max(graph.width, width);
    graph.height = top + height + GAP.track;
  }
  return graph;
}

/** Above this many tasks and edges dagre takes seconds: then the layers alone are drawn. */
const MOST_FOR_DAGRE = 300;

interface Layout {
  width: number;
  height: number;
  placed: { task: BoardTask; x: number; y: number }[];
  edges: { from: string; to: string; line: number[] }[];
}

interface Link {
  from: string;
  to: string;
}

function linksOf(tasks: readonly BoardTask[]): Link[] {
  const names = new Set(tasks.map(({ name }) => name));
  return tasks.flatMap(({ name, blockers }) =>
    blockers.flatMap((from) => (names.has(from) ? [{ from, to: name }] : [])),
  );
}

function layOutNicely(tasks: readonly BoardTask[]): Layout {
  const graph = new dagre.graphlib.Graph();
  const gaps = { ranksep: GAP.layer, nodesep: GAP.task, edgesep: GAP.edge, marginx: GAP.rim, marginy: GAP.rim };
  graph.setGraph({ rankdir: "LR", ...gaps });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const { name } of tasks) graph.setNode(name, { ...BOX });
  for (const { from, to } of linksOf(tasks)) graph.setEdge(from, to);
  dagre.layout(graph);
  const { width = 0, height = 0 } = graph.graph();
  return {
    ...{ width: Math.ceil(width), height: Math.ceil(height) },
    placed: tasks.map((task) => {
      const { x, y } = graph.node(task.name);
      return { task, x: Math.round(x - BOX.width / 2), y: Math.round(y - BOX.height / 2) };
    }),
    edges: graph.edges().map((edge: dagre.Edge) => {
      const { points } = graph.edge(edge);
      return {
        ...{ from: edge.v, to: edge.w },
        line: points.flatMap(({ x, y }: { x: number; y: number }) => [Math.round(x), Math.round(y)]),
      };
    }),
  };
}

const SWEEPS = 4;

/** Each layer is ordered by where the tasks that its tasks wait for stand, and then by those that wait for them. */
function layOutInLayers(tasks: readonly BoardTask[]): Layout {
  const layers = layersOf(tasks);
  const links = linksOf(tasks);
  const [before, after] = [groupBy(links, ({ to }) => to), groupBy(links, ({ from }) => from)];
  const place = new Map<string, number>();
  const number = (layer: readonly BoardTask[]) => {
    for (const [n, { name }] of layer.entries()) place.set(name, n);
  };
  for (const layer of layers) number(layer);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const isForward = sweep % 2 === 0;
    for (const layer of isForward ? layers : [...layers].reverse()) {
      const middle = new Map(
        layer.map(({ name }) => {
          const ends = isForward
            ? (before.get(name) ?? []).map(({ from }) => from)
            : (after.get(name) ?? []).map(({ to }) => to);
          const sum = ends.reduce((total, end) => total + (place.get(end) ?? 0), 0);
          return [name, ends.length === 0 ? (place.get(name) ?? 0) : sum / ends.length];
        }),
      );
      layer.sort((a, b) => (middle.get(a.name) ?? 0) - (middle.get(b.name) ?? 0));
      number(layer);
    }
  }
  const tallest = Math.max(...layers.map(({ length }) => length));
  const [column, row] = [BOX.width + GAP.layer, BOX.height + GAP.task];
  const at = new Map<string, { x: number; y: number }>();
  const placed = layers.flatMap((layer, n) => {
    const top = GAP.rim + Math.round(((tallest - layer.length) * row) / 2);
    return layer.map((task, m) => {
      const spot = { x: GAP.rim + n * column, y: top + m * row };
      at.set(task.name, spot);
      return { task, ...spot };
    });
  });
  const line = ({ from, to }: Link) => {
    const [a, b] = [at.get(from), at.get(to)];
    const half = BOX.height / 2;
    return a && b ? [a.x + BOX.width, a.y + half, b.x, b.y + half] : [];
  };
  return {
    width: layers.length * column - GAP.layer + 2 * GAP.rim,
    height: tallest * row - GAP.task + 2 * GAP.rim,
    placed,
    edges: links.map((link) => ({ ...link, line: line(link) })),
  };
}
