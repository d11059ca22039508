/** The words with which an agent may end a task of a kind. A kind that is not listed is plain work. */
const LEGAL: Readonly<Record<string, readonly string[]>> = {
  review: ["pass", "fail", "blocked"],
  test: ["pass", "fail", "blocked"],
  verify: ["pass", "fail", "blocked"],
};
const PLAIN = ["done", "blocked"];

/** Whether a task of that kind is only done once its agent has said how it ended. */
export const mustSayHow = (kind: string) => LEGAL[kind] !== undefined;

export const legalVerdicts = (kind: string): readonly string[] => LEGAL[kind] ?? PLAIN;

/**
 * What the last non-empty line of an answer says: `### DONE`, or a JSON object with a `verdict`. Only a word that is legal
 * for the task's kind counts, so an answer that quotes its instructions says nothing.
 */
export function verdictOf(answer: string, kind: string): { verdict: string; reason: string | null } | undefined {
  const last = answer.trimEnd().split("\n").at(-1)?.trim() ?? "";
  const said = /^#{1,4}\s+([A-Za-z_]+)\W*$/.exec(last)?.[1] ?? fieldOf(last, "verdict");
  const verdict = said?.toLowerCase();
  if (verdict === undefined || !legalVerdicts(kind).includes(verdict)) return undefined;
  return { verdict, reason: fieldOf(last, "reason") ?? null };
}

function fieldOf(line: string, name: string): string | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const value: unknown = (JSON.parse(line) as Record<string, unknown>)[name];
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}
