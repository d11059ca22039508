import { useRef, useState } from "preact/hooks";
import type { TaskGraph } from "../../graph.js";
import { useGet } from "../api.js";
import { Waiting } from "../parts.js";
import { go, pathTo } from "../place.js";

const classOf = ({ status, hold, ready }: TaskGraph["tasks"][number]) =>
  hold !== null ? "held" : status === "IN_PROGRESS" ? "busy" : ready ? "ready" : "waits";

const MOST_LETTERS = 22;
const cut = (text: string) => (text.length > MOST_LETTERS ? `${text.slice(0, MOST_LETTERS - 1)}…` : text);

/** The live tasks: what must be done first stands on the left, a band is a track, and the longest chain stands out. */
export function Graph({ workstream }: { workstream: string }) {
  const graph = useGet<TaskGraph>(`/api/graph?w=${encodeURIComponent(workstream)}`);
  const [zoom, setZoom] = useState(1);
  const frame = useRef<HTMLElement>(null);
  if (graph.value === undefined) return <Waiting of={graph} />;
  const { width, height, box, tasks, edges, bands } = graph.value;
  if (tasks.length === 0) return <p class="empty">No task is open.</p>;
  return (
    <>
      <div class="row">
        <button type="button" aria-label="Smaller" onClick={() => setZoom(Math.max(0.1, zoom / 1.25))}>
          −
        </button>
        <button type="button" aria-label="Larger" onClick={() => setZoom(Math.min(3, zoom * 1.25))}>
          +
        </button>
        <button type="button" onClick={() => setZoom(Math.min(1, (frame.current?.clientWidth ?? width) / width))}>
          Whole width
        </button>
        <span class="faint">
          {tasks.length} tasks, {bands.length} tracks
        </span>
        <a href={pathTo(workstream, "tasks")}>List</a>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, also for who has no mouse */}
      <section class="graph" ref={frame} aria-label="task graph" tabIndex={0}>
        <svg width={width * zoom} height={height * zoom} viewBox={`0 0 ${width} ${height}`}>
          <title>{`${tasks.length} tasks`}</title>
          {bands.map(({ y, height: tall, goals }) => (
            <g key={goals.join()}>
              <rect class="band" x={0} y={y} width={width} height={tall} rx={6} />
              <title>{goals.join(", ")}</title>
            </g>
          ))}
          {edges.map(({ from, to, isCritical, line }) => (
            <polyline key={`${from} ${to}`} class={isCritical ? "edge critical" : "edge"} points={line.join(" ")} />
          ))}
          {tasks.map((task) => (
            <a
              key={task.name}
              href={pathTo(workstream, "tasks", task.name)}
              onClick={(event) => {
                event.preventDefault();
                go(pathTo(workstream, "tasks", task.name));
              }}
            >
              <g class={`task ${classOf(task)}`} transform={`translate(${task.x} ${task.y})`}>
                <rect width={box.width} height={box.height} rx={5} />
                <text x={8} y={17}>
                  {cut(task.name)}
                </text>
                <text class="small" x={8} y={32}>
                  {cut(task.owner ?? (task.hold !== null ? `held: ${task.hold}` : task.ready ? "ready" : "waits"))}
                </text>
                <title>{task.title}</title>
              </g>
            </a>
          ))}
        </svg>
      </section>
    </>
  );
}
