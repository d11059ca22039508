import type { Crew } from "../agents/crew.js";
import type { Caller } from "../agents/identity.js";
import { mapAtMost } from "../at-most.js";
import type { Examined } from "../db/examine.js";
import { bugFault, Fault, type NextStep } from "../errors.js";
import { counted, duration } from "../names.js";
import { shape, type TypeOf } from "../shape.js";

export const SEVERITIES = ["ok", "note", "warning", "error"] as const;
export type Severity = (typeof SEVERITIES)[number];

/** What a probe found about one thing. */
export const FINDING = shape({
  probe: "string",
  /** `note`: worth knowing, and nothing is wrong. `warning`: to be mended. `error`: mu cannot do its work. */
  severity: SEVERITIES,
  /** What it is about: a program, a file, an agent … */
  subject: "string",
  detail: "string",
  /** What the command is for. */
  intent: "string | null",
  /** What mends it, or shows more. */
  command: "string | null",
});

/** A finding as its probe gives it. */
export interface Found {
  severity: Severity;
  subject: string;
  detail: string;
  step?: NextStep | undefined;
  fix?: Fix | undefined;
}

/** What mends a finding without losing anything. Findings with the same `key` are mended by one call. */
export interface Fix {
  key: string;
  /** Says what it did, in a sentence. */
  run(patient: Patient): Promise<string>;
}

/** What is examined. */
export interface Patient {
  crew: Crew;
  caller: Caller;
  examined: Examined;
  /** Answers a question to the database; ends when `signal` is aborted, however long SQLite takes. */
  ask(question: string, signal: AbortSignal): Promise<Record<string, unknown>[]>;
}

export interface Probe {
  name: string;
  /** It reads what is in the database. */
  needs?: "database";
  /** It takes long in a large database. */
  deep?: true;
  run(patient: Patient, signal: AbortSignal): Promise<Found[]>;
}

export type Finding = TypeOf<typeof FINDING> & { fix?: Fix | undefined };

/** Of more findings of a probe than this only the first are given. */
const MOST = 20;
const AT_ONCE = 4;

/** Runs probes, each for at most `timeoutMs`. One that fails is a finding. */
export async function runProbes(
  patient: Patient,
  probes: readonly Probe[],
  timeoutMs: (probe: Probe) => number,
): Promise<Finding[]> {
  const found = await mapAtMost(AT_ONCE, probes, async (probe) => {
    const all = await runProbe(patient, probe, timeoutMs(probe));
    const more = all.length - MOST;
    const rest: Found = { severity: "warning", subject: probe.name, detail: `${counted(more, "finding")} more.` };
    return (more > 0 ? [...all.slice(0, MOST), rest] : all).map((one) => toFinding(probe.name, one));
  });
  return found.flat();
}

function toFinding(probe: string, { severity, subject, detail, step, fix }: Found): Finding {
  return { probe, severity, subject, detail, intent: step?.intent ?? null, command: step?.command ?? null, fix };
}

async function runProbe(patient: Patient, probe: Probe, timeoutMs: number): Promise<Found[]> {
  const notMade = (severity: Severity, why: string, step?: NextStep): Found[] => [
    { severity, subject: probe.name, detail: `Not examined: ${why}`, step },
  ];
  if (probe.needs === "database" && patient.examined.fault !== undefined)
    return notMade("note", "the database cannot be used as it is.");
  const over = new AbortController();
  const late = patient.crew.context.clock.sleep(timeoutMs, over.signal).then(() => {
    const longer = {
      intent: "Give it longer",
      command: probe.deep ? "mu doctor --deep --timeout 1h" : "mu doctor --timeout 1m",
    };
    return notMade("warning", `it took longer than ${duration(timeoutMs)}.`, longer);
  });
  try {
    return await Promise.race([probe.run(patient, over.signal), late]);
  } catch (error) {
    const { code, message, nextSteps } = error instanceof Fault ? error : bugFault(String(error));
    // The probe of tmux says what is wrong with it.
    const isTmux = code.startsWith("tmux.") && probe.name !== "tmux";
    return notMade(isTmux ? "note" : "error", message, isTmux ? undefined : nextSteps[0]);
  } finally {
    over.abort();
  }
}

/** What was done about findings. */
export const FIXED = shape({ probe: "string", did: "string", ok: "boolean" });

/** Mends what can be mended without losing anything, one after another. */
export async function applyFixes(patient: Patient, findings: readonly Finding[]): Promise<TypeOf<typeof FIXED>[]> {
  const fixes = new Map(findings.flatMap(({ probe, fix }) => (fix ? [[fix.key, { probe, fix }]] : [])));
  const done: TypeOf<typeof FIXED>[] = [];
  for (const { probe, fix } of fixes.values()) {
    const outcome = await fix.run(patient).then(
      (did) => ({ did, ok: true }),
      (error: unknown) => ({ did: (error instanceof Fault ? error : bugFault(String(error))).message, ok: false }),
    );
    done.push({ probe, ...outcome });
  }
  return done;
}

/** What `mu doctor --fix` mends, as a command. */
export const FIX_STEP: NextStep = { intent: "Mend what is safe to mend", command: "mu doctor --fix" };
