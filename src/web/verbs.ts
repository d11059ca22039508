import { shellWord } from "../names.js";
import type { Operation } from "../operations/operation.js";
import { flagName, type UiGroup, type Verb, wordsOf } from "../operations/verb.js";

/** What the page may do, by the word that `--allow` takes. All of them are verbs of mu. */
const ACTIONS = {
  answer: ["inbox.answer", "agent.send", "agent.interrupt"],
  tasks: [
    ...["task.add", "task.note", "task.requeue", "task.reject", "task.escalate", "task.route", "task.release"],
    ...["task.open", "task.close", "task.defer", "runs.cancel", "undo"],
  ],
  jobs: [
    ...["job.new", "job.rename", "job.archive", "job.delete", "job.modules", "job.run", "job.cancel", "job.push"],
    ...["linear.import", "linear.export"],
  ],
  land: ["land", "review.approve", "review.return", "review.handled"],
  money: ["report", "notify.test"],
  brake: ["kill", "resume", "freeze", "thaw"],
} as const satisfies Record<UiGroup, readonly string[]>;

/** The verbs of these groups. */
export const verbsOf = (groups: readonly UiGroup[]): ReadonlySet<string> =>
  new Set(groups.flatMap((group) => ACTIONS[group]));

/** Whether the page may read with a verb: one that changes nothing and needs no more than its input. */
export const isReading = ({ effect, needs, standalone, outward }: Operation) =>
  effect === "read" && needs === undefined && !standalone && !outward;

/** The line that a person would have typed. */
export function lineOf(verb: Verb, input: Readonly<Record<string, unknown>>): string {
  const isPlaced = new Set(verb.arguments.map(({ field }) => field));
  const places = verb.arguments.flatMap(({ field }) => textsOf(input[field]).map(shellWord));
  const flags = Object.entries(input).flatMap(([field, value]) => {
    const flag = `--${flagName(field)}`;
    if (isPlaced.has(field) || value === false) return [];
    if (value === true) return [flag];
    return textsOf(value).map((text) =>
      field === "workstream" ? `-w ${shellWord(text)}` : `${flag} ${shellWord(text)}`,
    );
  });
  return ["mu", ...wordsOf(verb.name), ...places, ...flags].join(" ");
}

function textsOf(value: unknown): string[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value.flatMap(textsOf);
  return [typeof value === "object" ? JSON.stringify(value) : String(value)];
}
