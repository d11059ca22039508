import { useState } from "preact/hooks";
import type { ListedAgent } from "../../../agents/agent.js";
import { type Me, useRead } from "../api.js";
import { Act, Field, Panel, Screen, Since, Status, usd, Waiting } from "../parts.js";
import { pathTo } from "../place.js";

interface Costs {
  items: { agent: string; costUsd: number | null; reservedUsd: number; state: string }[];
}

const today = () => new Date().toISOString().slice(0, 10);

/** A card an agent, with what its pane shows. */
export function Crew({ me, workstream }: { me: Me; workstream: string }) {
  const crew = useRead<{ items: ListedAgent[]; lost: string[] }>("agent.list", { workstream });
  const runs = useRead<Costs>("runs.list", { workstream, day: today(), limit: 0 });
  if (crew.value === undefined) return <Waiting of={crew} />;
  const { items, lost } = crew.value;
  const spent = (agent: string) =>
    runs.value?.items.filter((run) => run.agent === agent).reduce((sum, run) => sum + (run.costUsd ?? 0), 0) ?? 0;
  return (
    <>
      {lost.length > 0 && (
        <p class="refused">
          {lost.length === 1 ? `${lost[0]} is lost.` : `${lost.join(", ")} are lost.`}{" "}
          <code>mu recover -w {workstream}</code> brings them back.
        </p>
      )}
      {items.length === 0 && (
        <p class="empty">
          No agents. Start one in a shell: <code>mu agent spawn worker-1 -w {workstream}</code>
        </p>
      )}
      <ul class="cards" aria-label="agents">
        {items.map((agent) => (
          <AgentCard key={agent.name} me={me} agent={agent} spent={spent(agent.name)} />
        ))}
      </ul>
    </>
  );
}

function AgentCard({ me, agent, spent }: { me: Me; agent: ListedAgent; spent: number }) {
  const { name, workstream, cli, role, status, statusReason, statusSince, tasks, idleAssigned } = agent;
  const isBusy = status === "busy" || status === "needs_input" || status === "needs_permission";
  const screen = useRead<{ lines: string[] }>(
    "agent.read",
    { agent: name, workstream, lines: 8, colours: true },
    isBusy ? { everyMs: 3_000 } : {},
  );
  return (
    <li class="card">
      <h3>
        <a href={pathTo(workstream, "crew", name)}>{name}</a> <span class="faint">{role ?? cli}</span>
        {spent > 0 && <span class="right faint">{usd(spent)}</span>}
      </h3>
      <p>
        <Status of={status} /> <Since at={statusSince} /> <span class="faint">{statusReason}</span>
      </p>
      <p>
        {tasks.length === 0 ? (
          <span class="faint">no task</span>
        ) : (
          tasks.map((task) => (
            <a key={task} href={pathTo(workstream, "tasks", task)}>
              {task}
            </a>
          ))
        )}
        {idleAssigned && <span class="asks"> idle, with work</span>}
      </p>
      {screen.value !== undefined && <Screen small lines={screen.value.lines} />}
      <div class="row">
        {isBusy && (
          <Act me={me} verb="agent.interrupt" input={{ agent: name, workstream }}>
            Interrupt
          </Act>
        )}
        {status?.startsWith("needs_") && <a href={pathTo(workstream, "inbox", name)}>Answer it</a>}
        <code class="faint">mu agent attach {name}</code>
      </div>
      <details>
        <summary>Send a prompt</summary>
        <SendTo me={me} workstream={workstream} name={name} />
      </details>
    </li>
  );
}

function SendTo({ me, workstream, name }: { me: Me; workstream: string; name: string }) {
  const [text, setText] = useState("");
  if (!me.allowed.includes("agent.send")) return null;
  return (
    <div class="row">
      <Field label={`Send ${name} a prompt`} value={text} set={setText} lines={2} />
      <Act
        me={me}
        verb="agent.send"
        input={() => (text.trim() === "" ? undefined : { agent: name, workstream, text })}
        told={({ delivery }: { delivery: { id: number; state: string } }) =>
          `Prompt ${delivery.id} is ${delivery.state}.`
        }
        done={() => setText("")}
        kind="main"
      >
        Send
      </Act>
      <Act me={me} verb="agent.interrupt" input={{ agent: name, workstream }}>
        Interrupt
      </Act>
    </div>
  );
}

interface Shown {
  agent: ListedAgent;
  tasks: { name: string; title: string; status: string }[];
}

interface Explained {
  status: string;
  reason: string | null;
  rule: string | null;
  evidence: string[];
}

/** One agent: its screen as it is, a line to send, and why mu says what it says. */
export function AgentPage({ me, workstream, name }: { me: Me; workstream: string; name: string }) {
  const shown = useRead<Shown>("agent.show", { agent: name, workstream });
  const screen = useRead<{ lines: string[]; source: string }>(
    "agent.read",
    { agent: name, workstream, lines: 60, colours: true },
    { everyMs: 1_000 },
  );
  const why = useRead<Explained>("agent.explain", { agent: name, workstream });
  if (shown.value === undefined) return <Waiting of={shown} />;
  const { agent, tasks } = shown.value;
  return (
    <>
      <h1>
        {name} <Status of={agent.status} /> <Since at={agent.statusSince} />
      </h1>
      <p class="faint">
        {agent.statusReason} {agent.role && `· ${agent.role}`} · {agent.cli}
      </p>
      {screen.value ? <Screen lines={screen.value.lines} /> : <Waiting of={screen} />}
      {screen.value?.source !== "pane" && screen.value && (
        <p class="faint">Its pane is gone: this is what was kept of it.</p>
      )}
      <SendTo me={me} workstream={workstream} name={name} />
      <p class="faint">
        In a terminal:{" "}
        <code>
          mu agent attach {name} -w {workstream}
        </code>
      </p>
      <Panel title="Tasks">
        {tasks.length === 0 && <p class="faint">None.</p>}
        {tasks.map((task) => (
          <p key={task.name}>
            <Status of={task.status} /> <a href={pathTo(workstream, "tasks", task.name)}>{task.name}</a> {task.title}
          </p>
        ))}
      </Panel>
      {why.value && (
        <Panel title="Why this status">
          <p>
            {why.value.reason ?? why.value.status} {why.value.rule && <span class="faint">rule {why.value.rule}</span>}
          </p>
          <pre class="question">{why.value.evidence.join("\n")}</pre>
        </Panel>
      )}
    </>
  );
}
