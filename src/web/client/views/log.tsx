import { useState } from "preact/hooks";
import { filterBy } from "../../../filter.js";
import type { State } from "../../../state.js";
import { type Entry, useRead } from "../api.js";
import { Panel, Since, Waiting } from "../parts.js";
import { go, pathTo } from "../place.js";

const MOST = 1_000;

/** What has happened, newest first; the slider shows the workstream as it was then. */
export function Log({ workstream, filter, at }: { workstream: string; filter: string; at: string | undefined }) {
  const log = useRead<{ items: Entry[] }>("log", { workstream, limit: MOST });
  const [dragged, drag] = useState<number>();
  if (log.value === undefined) return <Waiting of={log} />;
  const { items } = log.value;
  const passes = filterBy(filter);
  const found = items
    .filter(({ source, op, subject, text, kind }) => passes({ source, op, subject, text, kind }))
    .reverse();
  const place =
    at === undefined
      ? items.length - 1
      : Math.max(
          0,
          items.findIndex(({ id }) => String(id) === at),
        );
  const chosen = items[dragged ?? place];
  const to = (n: number) => (n >= items.length - 1 ? "" : String(items[n]?.id ?? ""));
  return (
    <>
      <div class="row">
        <input
          id="filter"
          aria-label="Filter"
          placeholder="Filter: source:ada op:task words"
          value={filter}
          onInput={({ currentTarget: { value } }) =>
            go(pathTo(workstream, "log", undefined, { filter: value, at: at ?? "" }), "replace")
          }
        />
        <span class="faint">
          {found.length} of {items.length}
        </span>
      </div>
      {items.length > 1 && (
        <div class="row">
          <input
            type="range"
            aria-label="Moment"
            aria-valuetext={chosen ? `#${chosen.id} ${chosen.text}` : ""}
            min={0}
            max={items.length - 1}
            value={dragged ?? place}
            onInput={({ currentTarget: { value } }) => drag(Number(value))}
            onChange={({ currentTarget: { value } }) => {
              drag(undefined);
              go(pathTo(workstream, "log", undefined, { filter, at: to(Number(value)) }), "replace");
            }}
          />
          <span>
            {at === undefined && dragged === undefined
              ? "now"
              : chosen && `#${chosen.id} ${new Date(chosen.at).toLocaleString()}`}
          </span>
          {at !== undefined && <a href={pathTo(workstream, "log", undefined, { filter })}>Now</a>}
        </div>
      )}
      {at !== undefined && <Then workstream={workstream} at={at} />}
      <ul class="lines" aria-label="log">
        {found.map(({ id, source, text, at: when, group }) => (
          <li key={id}>
            <a
              href={pathTo(workstream, "log", undefined, { filter, at: String(id) })}
              title={`group ${group.slice(0, 10)}`}
            >
              #{id}
            </a>{" "}
            <b>{source}</b> {text} <Since at={when} />
          </li>
        ))}
      </ul>
    </>
  );
}

/** The workstream as it was behind an entry of the log. */
function Then({ workstream, at }: { workstream: string; at: string }) {
  const state = useRead<State>("state", { workstream, at: `#${at}`, events: 0, reconcile: false });
  if (state.value === undefined) return <Waiting of={state} />;
  const { counts, agents, ready, tracks } = state.value;
  return (
    <Panel title={`As it was at #${at}`}>
      <p>
        {counts.total} tasks: {counts.ready} ready, {counts.inProgress} in progress, {counts.blocked} blocked,{" "}
        {counts.held} held, {counts.closed} closed, {counts.rejected} rejected. {tracks.total} tracks.
      </p>
      {agents.length > 0 && (
        <p>
          Agents:{" "}
          {agents.map(({ name, tasks }) => (
            <span key={name} class="edge">
              {name} {tasks.length > 0 && <span class="faint">{tasks.join(", ")}</span>}
            </span>
          ))}
        </p>
      )}
      {ready.items.length > 0 && <p>Ready: {ready.items.map(({ name }) => name).join(", ")}</p>}
    </Panel>
  );
}
