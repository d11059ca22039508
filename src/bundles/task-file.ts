import { isObject } from "../shape.js";
import { KEPT_TASK, type KeptTask, keptNote, keptTask } from "../tasks/kept.js";

/** The fields of the front matter: all but the texts that stand below it. */
const FRONT = Object.keys(KEPT_TASK).filter((field) => field !== "description" && field !== "notes");

type Note = KeptTask["notes"][number];

/** A task as Markdown: its fields as front matter, then title, description and notes, each text between two marks. */
export function writeTaskFile(task: KeptTask): string {
  const fields: Readonly<Record<string, unknown>> = task;
  let text = "---\n";
  for (const field of FRONT) {
    const value = fields[field];
    const isEmpty = value === null || value === undefined || (Array.isArray(value) && value.length === 0);
    if (!isEmpty) text += `${field}: ${JSON.stringify(value)}\n`;
  }
  text += `---\n\n# ${task.title}\n`;
  if (task.description !== null) text += `\n${marked("description", task.description)}${END}`;
  if (task.notes.length > 0) text += `\n## Notes (${task.notes.length})\n`;
  for (const [index, note] of task.notes.entries()) text += writeNote(note, index + 1);
  return text;
}

function writeNote({ text, rationale, ...fields }: Note, number: number): string {
  const given = Object.entries(fields).filter(([, value]) => value !== null);
  const facts = JSON.stringify(Object.fromEntries(given)).replace(ESCAPED, unicodeEscape);
  const author = fields.author.replace(/\s+/g, " ");
  return (
    `\n### ${number}. ${fields.kind} by ${author}, ${fields.createdAt}\n\n${marked(`note ${facts}`, text)}` +
    `${rationale === null ? "" : marked("rationale", rationale)}${END}`
  );
}

/** What would end the comment, or its line. */
const ESCAPED = /[>\u2028\u2029]/g;
const unicodeEscape = (letter: string) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`;

const END = "<!-- mu:end -->\n";
const MARK = /^<!-- mu:(\w+)(?: (.*))? -->$/gm;

/** A text after its mark. A line in it that looks like a mark gets a backslash. */
function marked(mark: string, text: string): string {
  return `<!-- mu:${mark} -->\n\n${text.replace(/^(<!-- mu\\*):/gm, "$1\\:")}\n\n`;
}

/** What `writeTaskFile` wrote, with the values as they are there; undefined if the text is no such file. */
export async function readTaskFile(text: string): Promise<KeptTask | undefined> {
  const whole = text.startsWith("---\r\n") ? text.replaceAll("\r\n", "\n") : text;
  const front = await readFrontMatter(whole);
  if (front === undefined) return undefined;
  const given = FRONT.filter((field) => field in front.fields).map((field) => [field, front.fields[field]]);
  const { name, title, ...fields } = Object.fromEntries(given);
  return keptTask(String(name), String(title), { ...fields, ...readTexts(front.body) });
}

function readTexts(body: string): Pick<KeptTask, "description" | "notes"> {
  const marks = [...body.matchAll(MARK)];
  let description: string | null = null;
  const notes: Note[] = [];
  for (const [index, { 0: mark, 1: kind, 2: facts, index: at }] of marks.entries()) {
    const text = body.slice(at + mark.length + 2, (marks[index + 1]?.index ?? body.length + 2) - 2);
    const meant = text.replace(/^(<!-- mu\\*)\\:/gm, "$1:");
    if (kind === "description") description = meant;
    if (kind === "note")
      notes.push(keptNote({ author: "", createdAt: "", ...(readJson(facts ?? "") as object), text: meant }));
    const last = notes.at(-1);
    if (kind === "rationale" && last !== undefined) last.rationale = meant;
  }
  return { description, notes };
}

/** The fields between the two lines `---` at the start of a text, and what follows; undefined where there are none. */
export async function readFrontMatter(
  text: string,
): Promise<{ fields: Readonly<Record<string, unknown>>; body: string } | undefined> {
  const [head, inner] = /^---\r?\n([\s\S]*?)\r?\n---[ \t]*(?:\r?\n|$)/.exec(text) ?? [];
  if (head === undefined || inner === undefined) return undefined;
  const fields = jsonLines(inner) ?? (await yaml(inner));
  return isObject(fields) ? { fields, body: text.slice(head.length) } : undefined;
}

/** Lines as mu writes them; reading them as YAML takes a hundred times as long. */
function jsonLines(text: string): Record<string, unknown> | undefined {
  const pairs = text.split("\n").map((line) => {
    const colon = line.indexOf(": ");
    return [line.slice(0, colon), readJson(line.slice(colon + 2))] as const;
  });
  return pairs.every(([, value]) => value !== undefined) ? Object.fromEntries(pairs) : undefined;
}

/** The value of a JSON text; undefined if it is none. */
export function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function yaml(text: string): Promise<unknown> {
  const { parse } = await import("yaml");
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}
