import type { Budget } from "../../../dispatch/budget.js";
import type { Run } from "../../../runs/run.js";
import { type Entry, type Me, useRead } from "../api.js";
import { Act, Panel, Since, Status, usd, Waiting } from "../parts.js";
import { go, pathTo } from "../place.js";

type Line = Budget["project"];

/** What roles have spent that day, beside their caps; the runs that it went to; and what people were told. */
export function Money({ me, workstream, day }: { me: Me; workstream: string; day: string | undefined }) {
  const scope = { workstream, ...(day !== undefined && { day }) };
  const budget = useRead<Budget>("budget", scope);
  const runs = useRead<{ items: Run[]; total: number }>("runs.list", { ...scope, limit: 100 });
  const prices = useRead<{ updatedAt: string | null; stale: boolean }>("pricing.show", {});
  const log = useRead<{ items: Entry[] }>("log", { workstream, limit: 500 });
  if (budget.value === undefined) return <Waiting of={budget} />;
  const { project, roles } = budget.value;
  const sent = log.value?.items.filter(({ op }) => op.startsWith("notify.")) ?? [];
  const most = Math.max(
    project.capUsd ?? 0,
    spentOf(project),
    ...roles.map((role) => Math.max(role.capUsd ?? 0, spentOf(role))),
    0.01,
  );
  const priced = prices.value?.updatedAt;
  return (
    <>
      <div class="row">
        <label>
          Day{" "}
          <input
            type="date"
            value={budget.value.day}
            onInput={({ currentTarget: { value } }) =>
              go(pathTo(workstream, "money", undefined, { day: value }), "replace")
            }
          />
        </label>
        <Act
          me={me}
          verb="report"
          input={{ workstream }}
          told={({ path }: { path: string | null }) => (path === null ? "It is made." : `It is in ${path}.`)}
        >
          Report now
        </Act>
        <Act
          me={me}
          verb="notify.test"
          input={{ workstream }}
          told={({ problem }: { problem: string | null }) => problem ?? "Sent."}
        >
          Send a test notice
        </Act>
        {priced && <span class={prices.value?.stale ? "asks" : "faint"}>prices of {priced.slice(0, 10)}</span>}
      </div>
      <Panel title="Spent">
        <table>
          <tbody>
            {[project, ...roles].map((line) => (
              <Bar key={line.role} line={line} most={most} />
            ))}
          </tbody>
        </table>
      </Panel>
      <Panel title="Runs" note={<span class="faint">{runs.value?.total}</span>}>
        <table>
          <tbody>
            {runs.value?.items.map((run) => (
              <tr key={run.id}>
                <td>{run.id}</td>
                <td>
                  <Status of={run.state} />
                </td>
                <td>
                  <a href={pathTo(workstream, "tasks", run.task)}>{run.task}</a>
                </td>
                <td class="wide">{run.role}</td>
                <td class="wide">{run.model ?? run.cli}</td>
                <td class="number">{run.state === "running" ? `≤ ${usd(run.reservedUsd)}` : usd(run.costUsd)}</td>
                <td>
                  <Since at={run.createdAt} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Panel>
      {sent.length > 0 && (
        <Panel title="Notices">
          {sent.map(({ id, text, at }) => (
            <p key={id}>
              {text} <Since at={at} />
            </p>
          ))}
        </Panel>
      )}
    </>
  );
}

const spentOf = ({ settledUsd, reservedUsd }: Line) => settledUsd + reservedUsd;

function Bar({ line, most }: { line: Line; most: number }) {
  const { role, settledUsd, reservedUsd, capUsd, runs, unknown, state } = line;
  const part = (value: number) => `${Math.round((100 * value) / most)}%`;
  return (
    <tr>
      <th scope="row">{role}</th>
      <td class="bars">
        <span class="bar" role="img" aria-label={`${usd(settledUsd)} spent, ${usd(reservedUsd)} reserved`}>
          <span class={state === "ok" ? "settled" : "settled hit"} style={{ width: part(settledUsd) }} />
          <span class="reserved" style={{ width: part(reservedUsd) }} />
          {capUsd !== null && <span class="cap" style={{ left: part(capUsd) }} />}
        </span>
      </td>
      <td class="number">
        {unknown > 0 && "~"}
        {usd(settledUsd)}
        {reservedUsd > 0 && <span class="faint"> + {usd(reservedUsd)}</span>}
        {capUsd !== null && <span class="faint"> of {usd(capUsd)}</span>}
      </td>
      <td class="faint">{runs} runs</td>
    </tr>
  );
}
