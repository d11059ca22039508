import leven from "leven";
import { Fault, type NextStep } from "./errors.js";

/** A task by its names; row ids never leave the database. */
export interface TaskRef {
  workstream: string;
  name: string;
}

/** An agent or a person by its names. */
export type AgentRef = TaskRef;

const WORKSTREAM_OR_AGENT = /^[a-z][a-z0-9_-]{0,31}$/;
const TASK = /^[a-z][a-z0-9_-]{0,63}$/;
/** Generated task names are cut to this length, at the end of a word if possible. */
const SLUG_LENGTH = 40;

/** Faults `workstream.invalid_name`: `.` and `:` break tmux targets, and `mu-` would give sessions `mu-mu-…`. */
export function checkWorkstreamName(name: string): void {
  if (WORKSTREAM_OR_AGENT.test(name) && !name.startsWith("mu-")) return;
  const better = slug(name.replace(/^mu-/, "")).slice(0, 32);
  throw invalid(
    "workstream",
    name,
    "use lowercase letters, digits, `_` or `-`, at most 32, starting with a letter and not with mu-",
    [{ intent: "Use a similar name", command: `mu workstream init ${better || "work"}` }],
  );
}

/** True for a valid agent name. */
export function isAgentName(name: string): boolean {
  return WORKSTREAM_OR_AGENT.test(name);
}

/** Faults `agent.invalid_name`. */
export function checkAgentName(name: string): void {
  if (isAgentName(name)) return;
  const better = slug(name).slice(0, 32) || "ada";
  const rule = `use lowercase letters, digits, \`_\` or \`-\`, at most 32, starting with a letter, such as ${better}`;
  throw invalid("agent", name, rule, []);
}

/** True for the name of a task, and for what follows the same rule. */
export const isTaskName = (name: string) => TASK.test(name);

/** Faults `task.invalid_name`. */
export function checkTaskName(name: string): void {
  if (isTaskName(name)) return;
  const better = slug(name);
  throw invalid("task", name, "use lowercase letters, digits, `_` or `-`, at most 64, starting with a letter", [
    { intent: "Use a similar name", command: `mu task add ${better || "task"} --title '…'` },
  ]);
}

function invalid(noun: string, name: string, rule: string, nextSteps: NextStep[]): Fault {
  return new Fault("usage", `${noun}.invalid_name`, `${quote(name)} is not a valid ${noun} name: ${rule}.`, nextSteps);
}

/** A task name for a title, at most 40 characters; `""` if the title has no letter or digit. */
export function slug(title: string): string {
  const whole = wholeSlug(title);
  if (whole.length <= SLUG_LENGTH) return whole;
  const cut = whole.lastIndexOf("_", SLUG_LENGTH);
  return whole.slice(0, cut > 0 ? cut : SLUG_LENGTH);
}

/** Latin letters that Unicode does not decompose into a base letter and a mark. */
const UNDECOMPOSED: Readonly<Record<string, string>> = {
  ...{ ß: "ss", æ: "ae", œ: "oe", ø: "o", đ: "d", ð: "d", þ: "th", ł: "l", ı: "i", ħ: "h", ŧ: "t", ŋ: "n", ĸ: "k" },
  ...{ ə: "e", ɛ: "e", ɔ: "o", ɓ: "b", ɗ: "d", ƙ: "k", ɲ: "n" },
};

/** The slug of a title, not cut. */
export function wholeSlug(title: string): string {
  const words = title
    .toLowerCase()
    .normalize("NFKD")
    .replace(/\p{Mark}/gu, "")
    .replace(/[^\0-\x7f]/gu, (letter) => UNDECOMPOSED[letter] ?? letter)
    .replace(/[^a-z0-9]+/g, "_")
    .replace(/^_|_$/g, "");
  return words === "" || /^[a-z]/.test(words) ? words : `t_${words}`;
}

/** The first of `name`, `name_2`, `name_3` … that is not taken. */
export function unusedName(name: string, taken: (name: string) => boolean): string {
  let found = name;
  for (let n = 2; taken(found); n++) found = `${name}_${n}`;
  return found;
}

/** `workstream/name`, as events name a task. */
export function qualifiedName({ workstream, name }: TaskRef): string {
  return `${workstream}/${name}`;
}

/** Splits `workstream/name`; a bare name has no workstream. */
export function parseRef(text: string): { workstream?: string; name: string } {
  const slash = text.indexOf("/");
  return slash < 0 ? { name: text } : { workstream: text.slice(0, slash), name: text.slice(slash + 1) };
}

/** The names most like `name` in any case, at most three, nearest first. */
export function nearest(name: string, names: Iterable<string>): string[] {
  const limit = Math.max(2, Math.floor(name.length / 3));
  const lower = name.toLowerCase();
  return [...names]
    .map((candidate) => ({ candidate, distance: leven(lower, candidate.toLowerCase(), { maxDistance: limit + 1 }) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance || (a.candidate < b.candidate ? -1 : 1))
    .slice(0, 3)
    .map(({ candidate }) => candidate);
}

/** ` Did you mean build or built?`, or nothing. */
export function didYouMean(name: string, names: Iterable<string>): string {
  const found = nearest(name, names);
  return found.length === 0 ? "" : ` Did you mean ${found.join(" or ")}?`;
}

/** `a, b and 3 more`. */
export function enumerate(names: readonly string[], most = 8): string {
  const more = names.length - most;
  return more <= 0 ? names.join(", ") : `${names.slice(0, most).join(", ")} and ${more} more`;
}

/** An unchecked name, quoted for a shell if necessary. */
export function shellWord(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** The words of a command line that was made with `shellWord`. */
export function shellWords(line: string): string[] {
  const words = line.match(/(?:'[^']*'|"(?:[^"\\]|\\.)*"|\\.|[^\s'"\\])+/g) ?? [];
  return words.map((word) =>
    word.replace(/'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)/g, (_, plain, quoted, one) => {
      return plain ?? one ?? quoted.replace(/\\(["\\$`])/g, "$1");
    }),
  );
}

/** A name for a message: quoted, without control characters, at most a line long. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 79)}…` : text).replace(UNPRINTABLE, "�");
}

/** A length of time in ms as people write it: `3.6 s`, `12 min 5 s`, `2 h 5 min`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 100) / 10);
  if (seconds < 60) return `${seconds} s`;
  const whole = Math.round(seconds);
  const [larger, smaller, parts] = whole < 3600 ? ["min", "s", whole] : ["h", "min", Math.floor(whole / 60)];
  const rest = parts % 60;
  return `${Math.floor(parts / 60)} ${larger}${rest > 0 ? ` ${rest} ${smaller}` : ""}`;
}

/**
 * Characters that steer a terminal, turn the direction of text or cannot be seen, but for line ends, tabs and what
 * letters and emoji are composed with.
 */
export const UNPRINTABLE =
  /[\p{Cc}\p{Default_Ignorable_Code_Point}\u2028\u2029\ufff9-\ufffb](?<![\p{Mn}\t\n\u200c\u200d])/gu;

/** `1 task`, `2 tasks`. */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`;
}
