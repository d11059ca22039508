import type { Crew } from "../../src/agents/crew.js";
import { PROBES } from "../../src/doctor/doctor.js";
import { applyFixes, type Finding, type Patient, runProbes } from "../../src/doctor/finding.js";

/** What the doctor examines, without a command line. */
export function patientOf(crew: Crew): Patient {
  const { store } = crew.context;
  return {
    crew,
    caller: {
      ...{ name: "ann", kind: "person", workstream: null, home: null, incarnation: null, role: null, run: null },
      ...{ evidence: [], refusal: null },
    },
    examined: { file: store.dialect === "postgres" ? null : "present", fault: undefined },
    ask: async (question) => (await store.query(question)).rows,
  };
}

/** What the probes of these names find that is not right. */
export async function examine(crew: Crew, ...names: string[]): Promise<Finding[]> {
  const probes = PROBES.filter(({ name }) => names.includes(name));
  const found = await runProbes(patientOf(crew), probes, () => 30_000);
  return found.filter(({ severity }) => severity !== "ok");
}

/** Applies the fixes of these findings and says what they did. */
export async function mend(crew: Crew, findings: readonly Finding[]): Promise<string[]> {
  return (await applyFixes(patientOf(crew), findings)).map(({ did, ok }) => (ok ? did : `failed: ${did}`));
}
