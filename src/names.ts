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
/** Auto-made task names are cut here, at a word's end where there is one. */
const SLUG_LENGTH = 40;

/** Faults `workstream.invalid_name`: `.` and `:` break tmux targets, and `mu-` would give sessions `mu-mu-…`. */
export function checkWorkstreamName(name: string): void {
  if (WORKSTREAM_OR_AGENT.test(name) && !name.startsWith("mu-")) return;
  const better = slug(name.replace(/^mu-/, "")).slice(0, 32);
  throw invalid(
    "workstream",
    name,
    "a letter, then up to 31 letters, digits, `_` or `-`, lower case, without the prefix mu-",
    [{ intent: "Use a name like it", command: `mu workstream init ${better || "work"}` }],
  );
}

/** Whether an agent can be called so. */
export function isAgentName(name: string): boolean {
  return WORKSTREAM_OR_AGENT.test(name);
}

/** Faults `agent.invalid_name`. */
export function checkAgentName(name: string): void {
  if (isAgentName(name)) return;
  throw invalid("agent", name, "a letter, then up to 31 letters, digits, `_` or `-`, lower case", []);
}

/** Faults `task.invalid_name`. */
export function checkTaskName(name: string): void {
  if (TASK.test(name)) return;
  const better = slug(name);
  throw invalid("task", name, "a letter, then up to 63 letters, digits, `_` or `-`, lower case", [
    { intent: "Use a name like it", command: `mu task add ${better || "task"} --title '…'` },
  ]);
}

function invalid(noun: string, name: string, rule: string, nextSteps: NextStep[]): Fault {
  return new Fault("usage", `${noun}.invalid_name`, `${quote(name)} is no ${noun} name: ${rule}.`, nextSteps);
}

/** A task name made from a title, at most 40 characters; `""` when the title has no letter or digit. */
export function slug(title: string): string {
  const whole = wholeSlug(title);
  if (whole.length <= SLUG_LENGTH) return whole;
  const cut = whole.lastIndexOf("_", SLUG_LENGTH);
  return whole.slice(0, cut > 0 ? cut : SLUG_LENGTH);
}

/** The slug of a title before it is cut to a name's length. */
export function wholeSlug(title: string): string {
  const words = title
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "_")
    .replace(/^_+|_+$/g, "");
  return words === "" || /^[a-z]/.test(words) ? words : `t_${words}`;
}

/** `name`, else `name_2`, `name_3` … the first that `taken` does not hold. */
export function unusedName(name: string, taken: (name: string) => boolean): string {
  let found = name;
  for (let n = 2; taken(found); n++) found = `${name}_${n}`;
  return found;
}

/** `workstream/name`: what events call a task, and a reference that means the same everywhere. */
export function qualifiedName({ workstream, name }: TaskRef): string {
  return `${workstream}/${name}`;
}

/** Splits `workstream/name`; a bare name has no workstream. */
export function parseRef(text: string): { workstream?: string; name: string } {
  const slash = text.indexOf("/");
  return slash < 0 ? { name: text } : { workstream: text.slice(0, slash), name: text.slice(slash + 1) };
}

/** The names most like `name`, at most three, nearest first. */
export function nearest(name: string, names: Iterable<string>): string[] {
  const limit = Math.max(2, Math.floor(name.length / 3));
  return [...names]
    .filter((candidate) => Math.abs(candidate.length - name.length) <= limit)
    .map((candidate) => ({ candidate, distance: leven(name, candidate, { maxDistance: limit + 1 }) }))
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

/** `a, b and 3 more`: names as a message can bear them. */
export function enumerate(names: readonly string[], most = 8): string {
  const more = names.length - most;
  return more <= 0 ? names.join(", ") : `${names.slice(0, most).join(", ")} and ${more} more`;
}

/** A name that nobody checked, as one word of a command that a person may paste. */
export function shellWord(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** A name as it is shown in a message: quoted, without control characters, not longer than a line. */
export function quote(text: string): string {
  const shown = JSON.stringify(text.length > 80 ? `${text.slice(0, 79)}…` : text);
  return shown.replace(/[\u007f-\u009f\u2028\u2029]/g, "�");
}

/** `1 task`, `2 tasks`: a number with its noun, for people. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
