import { openPaneAgent } from "../agents/agent.js";
import { canary } from "../doctor/canary.js";
import { PROBES } from "../doctor/doctor.js";
import { applyFixes, FINDING, FIXED, type Patient, type Probe, runProbes } from "../doctor/finding.js";
import { counted } from "../names.js";
import { type App, defineOperation, NEXT_STEPS, step } from "./define.js";
import { agentField, durationField, flag, workstreamField } from "./fields.js";

const MARKS = { ok: "✓", note: "·", warning: "!", error: "✗" };
/** How long a probe may take, in ms: the canary as long as a prompt may, and a deep one as long as a large database takes. */
const PROBE_MS = 15_000;
const SEND_MS = 90_000;
const DEEP_MS = 600_000;

export const doctor = defineOperation({
  name: "doctor",
  summary: "Examine the machine, the database, the crew and the workspaces, and say what mends what is wrong",
  description:
    "Exits 0 only if nothing is wrong: notes are worth knowing, warnings and errors are not right, and each has the command that mends it. Nothing is changed without --fix, which does what any command would do sooner or later: it reconciles, settles what a dead process left, and puts mu's own stale and torn files away. It never removes work. A probe that cannot be made says so.",
  effect: "write",
  writes: ({ fix, send }) => fix || send !== undefined,
  anyDatabase: true,
  acts: ["runs"],
  input: () => ({
    deep: flag("Also check every page of the database, every event's hash, and the tables against the events"),
    fix: flag("Mend what can be mended without losing anything"),
    send: agentField("Send this agent a harmless prompt, and measure its delivery").optional(),
    workstream: workstreamField("any"),
    timeout: durationField("How long a probe may take (default: 15s; 10m for those of --deep)").optional(),
  }),
  output: { ok: "boolean", findings: [FINDING], fixed: [FIXED], nextSteps: NEXT_STEPS },
  examples: [
    { command: "mu doctor", shows: "all that can be examined quickly" },
    { command: "mu doctor --deep", shows: "and all that the database says of itself" },
    { command: "mu doctor --send nobody", shows: "an unknown agent", fault: "agent.not_found" },
  ],
  async run(app, { deep, fix, send, timeout }) {
    const patient = await patientOf(app);
    const canSend = send !== undefined && patient.examined.fault === undefined;
    if (canSend) await openPaneAgent(app.context.store.db, send);
    const timeoutMs = (probe: Probe) =>
      timeout ?? (probe.name === "canary" ? SEND_MS : probe.deep ? DEEP_MS : PROBE_MS);
    const probes = PROBES.filter((probe) => deep || !probe.deep);
    const examine = () => runProbes(patient, probes, timeoutMs);
    const before = await examine();
    const fixed = fix ? await applyFixes(patient, before) : [];
    const after = fixed.length > 0 ? await examine() : before;
    const sent = canSend ? await runProbes(patient, [canary(send)], timeoutMs) : [];
    const findings = [...after, ...sent].map(({ fix: _, ...finding }) => finding);
    const steps = findings.flatMap(({ intent, command }) => (intent && command ? [step(intent, command)] : []));
    const nextSteps = [...new Map(steps.map((one) => [one.command, one])).values()];
    return { ok: !findings.some(isWrong) && fixed.every(({ ok }) => ok), findings, fixed, nextSteps };
  },
  render: ({ findings, fixed, ok }, paint) => [
    fixed.map(({ did, ok }) => wrapped(`${ok ? "mended" : "not mended"}  ${did}`)),
    findings.map(({ severity, subject, detail }) => {
      const [first = "", ...rest] = wrapped(`${MARKS[severity]} ${subject}  ${detail}`);
      const line = first.replace(subject, () => paint.bold(subject));
      return [line, ...rest];
    }),
    ok ? paint.dim("Nothing is wrong.") : `${counted(findings.filter(isWrong).length, "finding")} to mend.`,
  ],
  exitCode: ({ ok }) => (ok ? 0 : 1),
});

const isWrong = ({ severity }: { severity: string }) => severity === "warning" || severity === "error";

async function patientOf(app: App): Promise<Patient> {
  const { context, caller, program, request, examined = { file: null, fault: undefined } } = app;
  return {
    crew: await app.crew(),
    caller,
    examined,
    async ask(question, signal) {
      if (program.runApart === undefined) return (await context.store.query(question)).rows;
      const both = { ...request, signal: AbortSignal.any([request.signal, signal]) };
      return (await program.runApart(["sql", "-"], question, both)) as Record<string, unknown>[];
    },
  };
}

/** Lines of at most 80 columns, the further ones indented; a word that is longer, such as a path, stays whole. */
function wrapped(text: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/(?<=\S) (?=\S)/)) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (longer.length > 80 && line !== "") lines.push(line);
    line = longer.length > 80 && line !== "" ? `    ${word}` : longer;
  }
  return [...lines, line];
}
