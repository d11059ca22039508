import { shellWord } from "../names.js";
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

/**
 * The verbs that the page reads with, each with the fields that it gives beside the workstream: other fields of some write, a
 * file or a setting.
 */
const READS: Readonly<Record<string, readonly string[]>> = {
  ...{ state: ["at", "events", "reconcile"], inbox: [], log: ["limit"], "workstream.list": [], "role.list": [] },
  ...{
    "agent.list": [],
    "agent.show": ["agent"],
    "agent.read": ["agent", "lines", "colours"],
    "agent.explain": ["agent"],
  },
  ...{
    "task.list": ["status", "sort", "limit"],
    "task.show": ["task"],
    "task.history": ["task"],
    "task.diff": ["task"],
  },
  ...{
    "job.list": ["archived"],
    "job.show": ["job", "artifact", "version"],
    "job.modules": ["job"],
    "job.trace": ["job"],
  },
  ...{ review: ["task"], "workspace.conflicts": [] },
  ...{ budget: ["day"], "runs.list": ["task", "day", "limit"], "pricing.show": [] },
};

/** Whether the page may read with this verb and these fields. */
export function isReading(verb: string, input: Readonly<Record<string, unknown>>): boolean {
  const fields = Object.hasOwn(READS, verb) ? READS[verb] : undefined;
  return fields !== undefined && Object.keys(input).every((field) => field === "workstream" || fields.includes(field));
}

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
