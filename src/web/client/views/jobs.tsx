import { useState } from "preact/hooks";
import { STEP_NAMES, type StepName } from "../../../flow/steps.js";
import type { Job } from "../../../jobs/job.js";
import { type Me, useRead } from "../api.js";
import { Act, Field, Markdown, Panel, Since, Spinner, Status, usd, Waiting } from "../parts.js";
import { go, pathTo } from "../place.js";

/** What an agent writes to a file is in no entry of the log: it is read again so often, in ms. */
const GROWS_MS = 2_000;

const isAtWork = ({ status }: { status: string }) => status === "IN_PROGRESS" || status === "OPEN";

/** The jobs of a workstream, as Studio had them. */
export function Jobs({ me, workstream }: { me: Me; workstream: string }) {
  const [name, setName] = useState("");
  const [issue, setIssue] = useState("");
  const [archived, setArchived] = useState(false);
  const jobs = useRead<{ items: Job[]; folders: string[] }>("job.list", { workstream, archived });
  if (jobs.value === undefined) return <Waiting of={jobs} />;
  const open = (job: string) => go(pathTo(workstream, "jobs", job));
  return (
    <>
      <div class="row">
        {me.allowed.includes("job.new") && <Field label="Name of a new job" value={name} set={setName} />}
        <Act
          me={me}
          verb="job.new"
          kind="main"
          input={() => (name.trim() === "" ? undefined : { name: name.trim(), workstream })}
          done={() => open(name.trim())}
        >
          New job
        </Act>
        {me.allowed.includes("linear.import") && (
          <Field label="Linear issue" placeholder="ENG-12" value={issue} set={setIssue} />
        )}
        <Act
          me={me}
          verb="linear.import"
          input={() => (issue.trim() === "" ? undefined : { issue: issue.trim(), workstream })}
          done={() => setIssue("")}
        >
          Import from Linear
        </Act>
        <label>
          <input
            type="checkbox"
            checked={archived}
            onInput={({ currentTarget }) => setArchived(currentTarget.checked)}
          />{" "}
          archived too
        </label>
        <Act
          me={me}
          verb="job.push"
          input={{ workstream, yes: true }}
          sure="Commit and push them?"
          told={({ pushes, skipped }: { pushes: { jobs: string[] }[]; skipped: unknown[] }) =>
            `${pushes.flatMap(({ jobs: pushed }) => pushed).join(", ") || "Nothing"} pushed, ${skipped.length} left out.`
          }
          title="Commits the jobs that have a report, archives them, and pushes the branch"
        >
          Push what has a report
        </Act>
      </div>
      {jobs.value.items.length === 0 && <p class="empty">No jobs yet.</p>}
      <ul class="cards" aria-label="jobs">
        {jobs.value.items.map((job) => (
          <li key={job.name} class="card">
            <h3>
              <a href={pathTo(workstream, "jobs", job.name)}>{job.name}</a> <Status of={job.status} held={job.hold} />
              <span class="right faint">{job.costUsd > 0 && usd(job.costUsd)}</span>
            </h3>
            {job.title !== job.name && <p>{job.title}</p>}
            <p>
              {job.steps.map((step) => (
                <span key={step.task} class="edge">
                  {step.step} <Status of={step.status} held={step.hold} />
                </span>
              ))}
              {job.steps.length === 0 && <span class="faint">no step yet</span>} <Since at={job.createdAt} />
            </p>
          </li>
        ))}
      </ul>
    </>
  );
}

interface Shown {
  shown: { step: StepName; version: number | null; versions: number[]; text: string } | null;
}

/** One job: its steps and what they have made, as it grows. */
export function JobPage({ me, workstream, name }: { me: Me; workstream: string; name: string }) {
  const job = useRead<Job>("job.show", { job: name, workstream });
  const isRunning = job.value?.steps.some(({ status }) => status === "IN_PROGRESS") ?? false;
  const trace = useRead<{ lines: string[] }>(
    "job.trace",
    { job: name, workstream },
    isRunning ? { everyMs: GROWS_MS } : {},
  );
  const [step, setStep] = useState<StepName>();
  if (job.value === undefined) return <Waiting of={job} />;
  const { title, status, hold, holdReason, folder, checkout, steps, artifacts, costUsd } = job.value;
  const shownStep = step ?? artifacts.at(-1);
  const ref = { job: name, workstream };
  return (
    <>
      <h1>
        {name} <Status of={status} held={hold} /> {costUsd > 0 && <span class="faint">{usd(costUsd)}</span>}
      </h1>
      {title !== name && <p>{title}</p>}
      {holdReason && <p class="asks">{holdReason}</p>}
      <p class="faint">
        {folder} {checkout && `· checkout ${checkout}`}
      </p>
      <table>
        <tbody>
          {steps.map((one) => (
            <tr key={one.task}>
              <td>
                {one.status === "IN_PROGRESS" && <Spinner />} {one.step}
              </td>
              <td>
                <Status of={one.status} held={one.hold} /> {one.outcome}
              </td>
              <td>
                {one.runs} runs, {usd(one.costUsd)}
              </td>
              <td>
                <a href={pathTo(workstream, "tasks", one.heldTask ?? one.task)}>{one.heldTask ?? one.task}</a>{" "}
                <span class="asks">{one.holdReason}</span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <RunSteps me={me} job={job.value} />
      <div class="row">
        {steps.some(isAtWork) && (
          <>
            <Act me={me} verb="job.cancel" input={{ ...ref, queued: true }}>
              Cancel what is queued
            </Act>
            <Act me={me} verb="job.cancel" input={ref} sure="Stop its agents too?" kind="danger">
              Stop
            </Act>
          </>
        )}
        <Act me={me} verb="linear.export" input={ref}>
          Send task.md to Linear
        </Act>
        <Act me={me} verb="job.archive" input={ref} done={() => go(pathTo(workstream, "jobs"))}>
          Archive
        </Act>
        <Rename me={me} job={name} workstream={workstream} />
        <Act
          me={me}
          verb="job.delete"
          input={{ ...ref, yes: true }}
          sure="Really delete it?"
          kind="danger"
          done={() => go(pathTo(workstream, "jobs"))}
        >
          Delete
        </Act>
      </div>
      <Modules me={me} job={name} workstream={workstream} />
      <Panel title="What the steps have made">
        <div class="row" role="tablist">
          {artifacts.map((one) => (
            <button
              key={one}
              type="button"
              role="tab"
              aria-selected={one === shownStep}
              class={one === shownStep ? "main" : ""}
              onClick={() => setStep(one)}
            >
              {one}.md
            </button>
          ))}
        </div>
        {shownStep === undefined ? (
          <p class="faint">Nothing yet.</p>
        ) : (
          <Artifact job={name} workstream={workstream} step={shownStep} grows={isRunning} />
        )}
      </Panel>
      <Panel title="Calls of agents">
        {trace.value ? (
          <pre class="screen small">{trace.value.lines.slice(-200).join("\n") || "None yet."}</pre>
        ) : (
          <Waiting of={trace} />
        )}
      </Panel>
    </>
  );
}

/** An artifact, and beside it an older version if one is chosen. */
function Artifact({
  job,
  workstream,
  step,
  grows,
}: {
  job: string;
  workstream: string;
  step: StepName;
  grows: boolean;
}) {
  const [version, setVersion] = useState<number>();
  const now = useRead<Shown>("job.show", { job, workstream, artifact: step }, grows ? { everyMs: GROWS_MS } : {});
  const older = useRead<Shown>(
    "job.show",
    version === undefined ? undefined : { job, workstream, artifact: step, version },
  );
  const shown = now.value?.shown;
  if (!shown) return <Waiting of={now} />;
  return (
    <>
      {shown.versions.length > 0 && (
        <label>
          Beside it{" "}
          <select
            value={String(version ?? "")}
            onInput={({ currentTarget: { value } }) => setVersion(value === "" ? undefined : Number(value))}
          >
            <option value="">nothing</option>
            {shown.versions.map((n) => (
              <option key={n} value={String(n)}>
                version {n}
              </option>
            ))}
          </select>
        </label>
      )}
      <div class="beside">
        {version !== undefined && older.value?.shown && <Markdown text={older.value.shown.text} />}
        <Markdown text={shown.text} />
      </div>
    </>
  );
}

const NUMBERS = {
  maxRevisions: "revisions",
  branches: "branches",
  maxTests: "test rounds",
  reviewers: "reviewers",
} as const;

function RunSteps({ me, job }: { me: Me; job: Job }) {
  const [steps, setSteps] = useState<StepName[]>([]);
  const [instructions, setInstructions] = useState("");
  const [lite, setLite] = useState(false);
  const [provider, setProvider] = useState("");
  const [numbers, setNumbers] = useState<Partial<Record<keyof typeof NUMBERS, string>>>({});
  if (!me.allowed.includes("job.run")) return null;
  const given = Object.fromEntries(
    Object.entries(numbers).flatMap(([key, text]) => (/^\d+$/.test(text ?? "") ? [[key, Number(text)]] : [])),
  );
  const input = () => ({
    ...{ job: job.name, workstream: job.workstream, steps: steps.length > 0 ? steps : (["all"] as const), lite },
    ...(instructions.trim() !== "" && { instructions }),
    ...(provider !== "" && { provider }),
    ...given,
  });
  return (
    <details open={job.steps.length === 0}>
      <summary>Run steps</summary>
      <div class="form">
        <fieldset class="row" aria-label="Steps">
          {STEP_NAMES.map((step) => (
            <label key={step}>
              <input
                type="checkbox"
                checked={steps.includes(step)}
                onInput={({ currentTarget }) =>
                  setSteps(STEP_NAMES.filter((one) => (one === step ? currentTarget.checked : steps.includes(one))))
                }
              />{" "}
              {step}
            </label>
          ))}
        </fieldset>
        <Field
          label="Instructions"
          takesFiles
          placeholder="Instructions, or drop a text file here"
          lines={4}
          value={instructions}
          set={setInstructions}
        />
        <div class="row">
          <label>
            <input type="checkbox" checked={lite} onInput={({ currentTarget }) => setLite(currentTarget.checked)} />{" "}
            lite
          </label>
          <select
            aria-label="Provider"
            value={provider}
            onInput={({ currentTarget }) => setProvider(currentTarget.value)}
          >
            <option value="">the role's CLI</option>
            {["claude", "codex", "gemini", "pi", "opencode", "random"].map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
          {Object.entries(NUMBERS).map(([key, label]) => (
            <input
              key={key}
              class="number"
              inputMode="numeric"
              aria-label={label}
              placeholder={label}
              value={numbers[key as keyof typeof NUMBERS] ?? ""}
              onInput={({ currentTarget: { value } }) => setNumbers({ ...numbers, [key]: value })}
            />
          ))}
          <Act
            me={me}
            verb="job.run"
            kind="main"
            input={input}
            told={({ queued, behind }: { queued: string[]; behind: string | null }) =>
              behind ? `Queued behind ${behind}.` : `Started: ${queued.join(", ")}.`
            }
          >
            {steps.length === 0 ? "Run all steps" : `Run ${steps.join(", ")}`}
          </Act>
        </div>
      </div>
    </details>
  );
}

function Rename({ me, job, workstream }: { me: Me; job: string; workstream: string }) {
  const [name, setName] = useState("");
  if (!me.allowed.includes("job.rename")) return null;
  return (
    <>
      <Field label="New name" value={name} set={setName} />
      <Act
        me={me}
        verb="job.rename"
        input={() => (name.trim() === "" ? undefined : { job, workstream, name: name.trim() })}
        done={() => go(pathTo(workstream, "jobs", name.trim()))}
      >
        Rename
      </Act>
    </>
  );
}

interface ModuleList {
  modules: { name: string; path: string; chosen: boolean }[];
  chosen: boolean;
}

/** The modules whose documents the job's agents get, as the tree of folders that they are. */
function Modules({ me, job, workstream }: { me: Me; job: string; workstream: string }) {
  const list = useRead<ModuleList>("job.modules", { job, workstream });
  if (list.value === undefined || list.value.modules.length === 0) return null;
  const { modules, chosen } = list.value;
  const names = modules.filter((one) => one.chosen).map(({ name }) => name);
  return (
    <details>
      <summary>
        Modules <span class="faint">{chosen ? `${names.length} of ${modules.length}` : "the router chooses"}</span>
      </summary>
      <ul class="lines">
        {modules.map((one) => (
          <li key={one.path} style={{ paddingLeft: `${Math.max(0, one.path.split("/").length - 1)}rem` }}>
            <Act
              me={me}
              verb="job.modules"
              kind="quiet"
              input={() => {
                const set = one.chosen ? names.filter((name) => name !== one.name) : [...names, one.name];
                return { job, workstream, ...(set.length === 0 ? { none: true } : { set }) };
              }}
              done={list.reload}
            >
              {`${one.chosen ? "☑" : "☐"} ${one.name}`}
            </Act>{" "}
            <span class="faint">{one.path}</span>
          </li>
        ))}
      </ul>
      <Act me={me} verb="job.modules" input={{ job, workstream, auto: true }} done={list.reload}>
        Let the router choose
      </Act>
    </details>
  );
}
