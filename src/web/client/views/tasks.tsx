import { useMemo, useState } from "preact/hooks";
import { completeFilter, type Fields, filterBy } from "../../../filter.js";
import type { Run } from "../../../runs/run.js";
import type { HistoryEntry } from "../../../tasks/history.js";
import type { Note } from "../../../tasks/notes.js";
import type { Task } from "../../../tasks/task.js";
import { type Me, useRead } from "../api.js";
import { Act, Field, Markdown, Panel, Since, Status, usd, Waiting } from "../parts.js";
import { go, pathTo } from "../place.js";
import { Diff } from "./diff.js";

const fieldsOf = ({ name, title, status, role, owner, kind, hold, level, tags, priority }: Task): Fields => ({
  ...{ name, text: title, status: status.toLowerCase(), role: role ?? "", owner: owner ?? "", kind },
  ...{ hold: hold ?? "", level: level ?? "", tag: tags.join(" "), priority: String(priority) },
});

const MOST_ROWS = 500;

/** The tasks of a workstream, by a filter as `mu top` has it. */
export function Tasks({ me, workstream, filter }: { me: Me; workstream: string; filter: string }) {
  const tasks = useRead<{ items: Task[]; total: number }>("task.list", { workstream, limit: 0 });
  const rows = tasks.value?.items;
  const fields = useMemo(() => rows?.map(fieldsOf) ?? [], [rows]);
  if (rows === undefined) return <Waiting of={tasks} />;
  const passes = filterBy(filter);
  const found = rows.filter((_, n) => passes(fields[n] ?? {}));
  return (
    <>
      <div class="row">
        <input
          id="filter"
          aria-label="Filter"
          placeholder="Filter: status:open role:code !blocked words"
          list="completions"
          autocomplete="off"
          value={filter}
          onInput={({ currentTarget: { value } }) =>
            go(pathTo(workstream, "tasks", undefined, { filter: value }), "replace")
          }
        />
        <datalist id="completions">
          {completeFilter(filter, fields)
            .slice(0, 30)
            .map((text) => (
              <option key={text} value={text} />
            ))}
        </datalist>
        <span class="faint">
          {found.length} of {rows.length}
        </span>
        <a href={pathTo(workstream, "graph")}>Graph</a>
      </div>
      <AddTask me={me} workstream={workstream} />
      <table>
        <thead>
          <tr>
            <th>task</th>
            <th>status</th>
            <th class="wide">owner</th>
            <th class="wide">role</th>
            <th>title</th>
          </tr>
        </thead>
        <tbody>
          {found.slice(0, MOST_ROWS).map((task) => (
            <tr key={task.name}>
              <td>
                <a href={pathTo(workstream, "tasks", task.name)}>{task.name}</a>
              </td>
              <td>
                <Status of={task.status} held={task.hold} />
              </td>
              <td class="wide">{task.owner}</td>
              <td class="wide">{task.role}</td>
              <td>{task.title}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {found.length > MOST_ROWS && <p class="faint">The first {MOST_ROWS} are shown: filter for the others.</p>}
    </>
  );
}

function AddTask({ me, workstream }: { me: Me; workstream: string }) {
  const [title, setTitle] = useState("");
  const [role, setRole] = useState("");
  const [blockedBy, setBlockedBy] = useState("");
  const [description, setDescription] = useState("");
  const roles = useRead<{ items: { name: string }[] }>("role.list", { workstream });
  if (!me.allowed.includes("task.add")) return null;
  const blockers = blockedBy.split(/[\s,]+/).filter(Boolean);
  const clear = () => {
    for (const set of [setTitle, setRole, setBlockedBy, setDescription]) set("");
  };
  return (
    <details>
      <summary>Add a task</summary>
      <div class="form">
        <Field label="Title" value={title} set={setTitle} />
        <select aria-label="Role" value={role} onInput={({ currentTarget }) => setRole(currentTarget.value)}>
          <option value="">No role</option>
          {roles.value?.items.map(({ name }) => (
            <option key={name}>{name}</option>
          ))}
        </select>
        <Field label="Waits for" placeholder="Waits for these tasks" value={blockedBy} set={setBlockedBy} />
        <Field label="Description" lines={3} value={description} set={setDescription} />
        <Act
          me={me}
          verb="task.add"
          kind="main"
          input={() =>
            title.trim() === ""
              ? undefined
              : {
                  workstream,
                  title,
                  ...(role && { role }),
                  ...(blockers.length > 0 && { blockedBy: blockers }),
                  ...(description && { description }),
                }
          }
          told={({ task }: { task: Task }) => `${task.name} is in the graph.`}
          done={clear}
        >
          Add
        </Act>
      </div>
    </details>
  );
}

interface Edge {
  name: string;
  status: string;
  until: string;
  satisfied: boolean;
}

interface Shown {
  task: Task;
  blockers: Edge[];
  dependents: Edge[];
  notes: Note[];
  check: { command: string; green: boolean; tail: string; createdAt: string } | null;
  spent: { usd: number; runs: number; leftUsd: number | null };
  commits: { sha: string; subject: string }[];
}

/** One task: what it is, why it waits, what was said and done about it, and what it changed. */
export function TaskPage({ me, workstream, name }: { me: Me; workstream: string; name: string }) {
  const ref = { task: name, workstream };
  const shown = useRead<Shown>("task.show", ref);
  const history = useRead<{ items: HistoryEntry[] }>("task.history", ref);
  const runs = useRead<{ items: Run[] }>("runs.list", ref);
  const [isDiffShown, showDiff] = useState(false);
  if (shown.value === undefined) return <Waiting of={shown} />;
  const { task, blockers, dependents, notes, check, spent, commits } = shown.value;
  const open = blockers.filter(({ satisfied }) => !satisfied);
  return (
    <>
      <h1>
        {task.name} <Status of={task.status} held={task.hold} /> {task.level && <span class="faint">{task.level}</span>}
      </h1>
      <p>{task.title}</p>
      <p class="faint">
        {task.owner ? `${task.owner} · ` : ""}
        {task.role ? `role ${task.role} · ` : ""}priority {task.priority} · impact {task.impact} · {task.effortDays}{" "}
        days
        {spent.runs > 0 && ` · ${spent.runs} runs, ${usd(spent.usd)}`}
      </p>
      {task.holdReason && <p class="asks">{task.holdReason}</p>}
      {task.description && <Markdown text={task.description} />}
      <TaskActions me={me} task={task} runs={runs.value?.items ?? []} />
      {(blockers.length > 0 || dependents.length > 0) && (
        <Panel title="Waits" note={open.length > 0 && <span class="asks">{open.length} not done</span>}>
          <Edges word="waits for" edges={blockers} workstream={workstream} />
          <Edges word="is waited for by" edges={dependents} workstream={workstream} />
        </Panel>
      )}
      {check && (
        <Panel title="Check" note={<span class={check.green ? "good" : "bad"}>{check.green ? "green" : "red"}</span>}>
          <p>
            <code>{check.command}</code> <Since at={check.createdAt} />
          </p>
          {check.tail && <pre class="question">{check.tail}</pre>}
        </Panel>
      )}
      <Notes me={me} task={task} notes={notes} />
      {runs.value && runs.value.items.length > 0 && (
        <Panel title="Runs">
          {runs.value.items.map((run) => (
            <p key={run.id}>
              {run.id} <Status of={run.state} /> {run.agent} · {usd(run.costUsd)} <Since at={run.createdAt} />{" "}
              <span class="faint">{run.reason}</span>
            </p>
          ))}
        </Panel>
      )}
      {commits.length > 0 && (
        <Panel title="Changes">
          {commits.map(({ sha, subject }) => (
            <p key={sha}>
              <code>{sha.slice(0, 10)}</code> {subject}
            </p>
          ))}
          {isDiffShown ? (
            <Diff me={me} workstream={workstream} task={name} />
          ) : (
            <button type="button" onClick={() => showDiff(true)}>
              Show the diff
            </button>
          )}
        </Panel>
      )}
      <Panel title="History">
        <ul class="lines">
          {history.value?.items.map(({ id, source, text, at }) => (
            <li key={id}>
              <span class="faint">#{id}</span> {source} {text} <Since at={at} />
            </li>
          ))}
        </ul>
      </Panel>
    </>
  );
}

const Edges = ({ word, edges, workstream }: { word: string; edges: Edge[]; workstream: string }) =>
  edges.length === 0 ? null : (
    <p>
      {word}{" "}
      {edges.map(({ name, status, until, satisfied }) => (
        <span key={name} class="edge">
          <Status of={status} /> <a href={pathTo(workstream, "tasks", name)}>{name}</a>
          {until !== "closed" && !satisfied && ` until ${until}`}
        </span>
      ))}
    </p>
  );

function TaskActions({ me, task, runs }: { me: Me; task: Task; runs: Run[] }) {
  const [why, setWhy] = useState("");
  const roles = useRead<{ items: { name: string }[] }>("role.list", { workstream: task.workstream });
  const ref = { task: task.name, workstream: task.workstream };
  const running = runs.find(({ state }) => state === "running" || state === "reserved");
  const isLive = task.status === "OPEN" || task.status === "IN_PROGRESS";
  return (
    <fieldset class="row" aria-label="what can be done">
      {task.status === "OPEN" && (
        <Act me={me} verb="task.requeue" input={ref} title="Ready again, with all its attempts">
          Requeue
        </Act>
      )}
      {running && (
        <Act me={me} verb="runs.cancel" input={{ run: running.id }} sure="Really stop it?" kind="danger">
          Stop its run
        </Act>
      )}
      {isLive && me.allowed.includes("task.escalate") && (
        <Field label="Why" value={why} set={setWhy} placeholder="Why (to hold or reject it)" />
      )}
      {isLive && task.hold === null && (
        <Act
          me={me}
          verb="task.escalate"
          input={() => (why.trim() === "" ? undefined : { ...ref, reason: why })}
          done={() => setWhy("")}
        >
          Hold
        </Act>
      )}
      {isLive && (
        <Act
          me={me}
          verb="task.reject"
          input={() => ({ ...ref, ...(why.trim() !== "" && { reason: why }) })}
          sure="Really reject it?"
          kind="danger"
        >
          Reject
        </Act>
      )}
      {task.status !== "OPEN" && (
        <Act me={me} verb="task.open" input={ref}>
          Open again
        </Act>
      )}
      {isLive &&
        roles.value?.items
          .filter(({ name }) => name !== task.role)
          .map(({ name }) => (
            <Act key={name} me={me} verb="task.route" input={{ ...ref, role: name }}>
              {`Give to ${name}`}
            </Act>
          ))}
    </fieldset>
  );
}

function Notes({ me, task, notes }: { me: Me; task: Task; notes: Note[] }) {
  const [text, setText] = useState("");
  return (
    <Panel title="Notes">
      {notes.map((note) => (
        <article key={`${note.createdAt} ${note.text}`}>
          <p class="faint">
            {note.author} {note.kind !== "note" && note.kind} <Since at={note.createdAt} />
          </p>
          <Markdown text={note.text} />
        </article>
      ))}
      {me.allowed.includes("task.note") && (
        <div class="row">
          <Field label="Note" value={text} set={setText} lines={2} />
          <Act
            me={me}
            verb="task.note"
            input={() => (text.trim() === "" ? undefined : { task: task.name, workstream: task.workstream, text })}
            done={() => setText("")}
          >
            Add the note
          </Act>
        </div>
      )}
    </Panel>
  );
}
