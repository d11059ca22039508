/** A value in a JSON text, by its place. Members of an object begin at their key. */
export interface JsonNode {
  kind: "object" | "array" | "other";
  start: number;
  end: number;
  members: JsonMember[];
}

export interface JsonMember {
  key?: string;
  start: number;
  end: number;
  value: JsonNode;
}

/** The places of all values of a text that `JSON.parse` accepts. */
export function parseJsonText(text: string): JsonNode {
  return readValue(text, skipBlanks(text, 0));
}

/** The member of that key; of several the last, as in `JSON.parse`. */
export function findMember(node: JsonNode, key: string): JsonMember | undefined {
  return node.members.findLast((member) => member.key === key);
}

/**
 * The text with one more member at the container's end. Nothing else is touched, and `removeMember` takes out exactly
 * what was put in. In an empty container the member stands right behind the bracket: see `wasCreated`.
 */
export function appendMember(text: string, node: JsonNode, member: string, indent: string): string {
  const last = node.members.at(-1);
  if (last) return `${text.slice(0, last.end)},\n${indent}${member}${text.slice(last.end)}`;
  return text.slice(0, node.start + 1) + member + text.slice(node.start + 1);
}

export function removeMember(text: string, node: JsonNode, index: number): string {
  const [before, member, after] = [node.members[index - 1], node.members[index], node.members[index + 1]];
  if (!member) return text;
  const start = before ? before.end : member.start;
  const end = before ? member.end : (after?.start ?? member.end);
  return text.slice(0, start) + text.slice(end);
}

/**
 * Whether the container was written together with its first member, and not an empty one that someone had: in that
 * case there is space between the bracket and the member.
 */
export function wasCreated(text: string, node: JsonNode): boolean {
  return /\s/.test(text[node.start + 1] ?? "");
}

/** The value as text, its further lines indented to stand in a line that is indented so. */
export function formatJson(value: unknown, indent: string): string {
  return JSON.stringify(value, null, 2).replace(/\n/g, `\n${indent}`);
}

function readValue(text: string, start: number): JsonNode {
  const open = text[start];
  if (open === "{" || open === "[") return readContainer(text, start, open === "{" ? "object" : "array");
  const end = open === '"' ? skipString(text, start) : skipScalar(text, start);
  return { kind: "other", start, end, members: [] };
}

function readContainer(text: string, start: number, kind: "object" | "array"): JsonNode {
  const members: JsonMember[] = [];
  for (let at = skipBlanks(text, start + 1); ; at = skipBlanks(text, at)) {
    if (text[at] === "}" || text[at] === "]") return { kind, start, end: at + 1, members };
    if (text[at] === ",") at = skipBlanks(text, at + 1);
    const member = kind === "object" ? readMember(text, at) : readItem(text, at);
    members.push(member);
    at = member.end;
  }
}

function readMember(text: string, start: number): JsonMember {
  const end = skipString(text, start);
  const key: unknown = JSON.parse(text.slice(start, end));
  const value = readValue(text, skipBlanks(text, skipBlanks(text, end) + 1));
  return { key: String(key), start, end: value.end, value };
}

function readItem(text: string, start: number): JsonMember {
  const value = readValue(text, start);
  return { start, end: value.end, value };
}

function skipString(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}

function skipScalar(text: string, start: number): number {
  let at = start;
  while (at < text.length && !/[\s,\]}]/.test(text[at] ?? "")) at++;
  return at;
}

function skipBlanks(text: string, start: number): number {
  let at = start;
  while (/[\s\ufeff]/.test(text[at] ?? "")) at++;
  return at;
}
