import { type Node, parseTree } from "jsonc-parser";
import { Fault } from "../../../errors.js";
import { isObject } from "../../../shape.js";
import type { AgentStatus } from "../../agent.js";
import { asList, asObject, asText } from "../../json.js";
import {
  DRAIN_COMMAND,
  HOOK_MARK_STEM,
  type HookKit,
  type HookState,
  hookLine,
  muLine,
  PRIME_COMMAND,
} from "../hook-kit.js";

/** What Claude Code does once it has reported the event. Those with `matcher: true` are asked for per tool; `*` is every tool. */
const EVENTS: Readonly<Record<string, { status?: AgentStatus; matcher?: true; also?: string }>> = {
  SessionStart: { also: muLine(PRIME_COMMAND) },
  UserPromptSubmit: { status: "busy" },
  PreToolUse: { status: "busy", matcher: true },
  PermissionRequest: { status: "needs_permission", matcher: true },
  PermissionDenied: { status: "busy", matcher: true },
  PostToolUse: { status: "busy", matcher: true },
  PostToolUseFailure: { status: "busy", matcher: true },
  Notification: {},
  Elicitation: { status: "needs_input" },
  PreCompact: {},
  PostCompact: {},
  Stop: { status: "idle", also: muLine(DRAIN_COMMAND) },
  StopFailure: { status: "idle" },
  SessionEnd: { status: "terminated" },
};

/** Seconds; the line of sh takes milliseconds, mu is given time to wait for a lock. */
const [LINE_TIMEOUT, MU_TIMEOUT] = [10, 30];

function groupOf(event: string): object {
  const { status, matcher, also } = EVENTS[event] ?? {};
  const line = { type: "command", command: hookLine(event, status), timeout: LINE_TIMEOUT };
  const mu = { type: "command", command: also, timeout: MU_TIMEOUT };
  return { ...(matcher && { matcher: "*" }), hooks: also === undefined ? [line] : [line, mu] };
}

const SETTINGS = `${formatJson({ hooks: Object.fromEntries(Object.keys(EVENTS).map((event) => [event, [groupOf(event)]])) }, "")}\n`;

/**
 * Hooks in a settings file of Claude Code, which also takes such a file by `--settings`. Claude runs a command that
 * stands in two of its settings files once, so the user's install and an agent's own file do not report twice.
 */
export const claudeHooks: HookKit = {
  agentFile: { name: "claude.json", text: SETTINGS },
  lasting: {
    project: ".claude/settings.local.json",
    user: ({ home, env = {} }) => `${env.CLAUDE_CONFIG_DIR || `${home}/.claude`}/settings.json`,
    edit: { add, strip, inspect },
  },
};

function add(text: string | undefined, path: string): string {
  if (inspect(text, path) === "installed") return text ?? SETTINGS;
  const bare = strip(text, path);
  if (bare === undefined) return SETTINGS;
  return Object.keys(EVENTS).reduce((done, event) => addGroup(done, event), bare);
}

function addGroup(text: string, event: string): string {
  const root = parseJsonText(text);
  const hooks = findValue(root, "hooks");
  if (!hooks) {
    const created = `"hooks": {\n    ${newEvent(event)}\n  }`;
    return appendMember(text, root, created, "  ");
  }
  const groups = findValue(hooks, event);
  if (!groups) return appendMember(text, hooks, newEvent(event), "    ");
  return appendMember(text, groups, formatJson(groupOf(event), "      "), "      ");
}

function newEvent(event: string): string {
  return `${JSON.stringify(event)}: [\n      ${formatJson(groupOf(event), "      ")}\n    ]`;
}

/** Takes out what is marked as mu's, and what was only created to hold it; one piece at a time, since places move. */
function strip(text: string | undefined, path: string): string | undefined {
  if (text === undefined) return undefined;
  check(text, path);
  return stripAll(text);
}

function stripAll(text: string): string | undefined {
  const root = parseJsonText(text);
  const hooks = findMember(root, "hooks");
  if (!hooks) return text;
  const events = membersOf(memberValue(hooks));
  if (events.length > 0 && wasCreated(text, memberValue(hooks)) && events.every((event) => isOnlyOurs(text, event))) {
    if (membersOf(root).length === 1 && wasCreated(text, root)) return undefined;
    return removeMember(text, root, membersOf(root).indexOf(hooks));
  }
  const without = stripOne(text, memberValue(hooks));
  return without === undefined ? text : stripAll(without);
}

/** The text without the first piece of mu's, or undefined when there is none. */
function stripOne(text: string, hooks: Node): string | undefined {
  for (const [index, event] of membersOf(hooks).entries()) {
    if (isOnlyOurs(text, event)) return removeMember(text, hooks, index);
    for (const [at, group] of membersOf(memberValue(event)).entries()) {
      if (isOurGroup(text, group)) return removeMember(text, memberValue(event), at);
      const handlers = findValue(group, "hooks");
      const ours = membersOf(handlers).findIndex((handler) => isOurHandler(text, handler));
      if (handlers && ours >= 0) return removeMember(text, handlers, ours);
    }
  }
  return undefined;
}

/** The event's list was written by mu and holds nothing else. */
function isOnlyOurs(text: string, event: Node): boolean {
  const groups = membersOf(memberValue(event));
  return groups.length > 0 && wasCreated(text, memberValue(event)) && groups.every((group) => isOurGroup(text, group));
}

function isOurGroup(text: string, group: Node): boolean {
  const handlers = membersOf(findValue(group, "hooks"));
  return handlers.length > 0 && handlers.every((handler) => isOurHandler(text, handler));
}

function isOurHandler(text: string, handler: Node): boolean {
  return isMarked(JSON.parse(text.slice(handler.offset, endOf(handler))));
}

function isMarked(handler: unknown): boolean {
  return asText(asObject(handler).command)?.startsWith(`: ${HOOK_MARK_STEM}`) === true;
}

function inspect(text: string | undefined, path: string): HookState {
  if (text === undefined) return "absent";
  const hooks = asObject(check(text, path).hooks);
  const groups = Object.entries(hooks).flatMap(([event, list]) => asList(list).map((group) => ({ event, group })));
  const ours = groups.filter(({ group }) => asList(asObject(group).hooks).some(isMarked));
  if (ours.length === 0) return "absent";
  const found = ours.map(({ event, group }) => `${event} ${JSON.stringify(group)}`).sort();
  const wanted = Object.keys(EVENTS).map((event) => `${event} ${JSON.stringify(groupOf(event))}`);
  return JSON.stringify(found) === JSON.stringify(wanted.sort()) ? "installed" : "outdated";
}

/** The settings, or a fault that leaves them alone: what cannot be read cannot be changed without loss. */
function check(text: string, path: string): Readonly<Record<string, unknown>> {
  const settings = parse(text, path);
  const hooks = asObject(settings).hooks;
  const lists = Object.values(asObject(hooks));
  if (!isObject(settings)) throw unexpected(path, "it is not a JSON object");
  if (hooks !== undefined && !isObject(hooks)) throw unexpected(path, '"hooks" is not an object');
  if (!lists.every(Array.isArray)) throw unexpected(path, 'an event under "hooks" is not a list');
  return asObject(settings);
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text.replace(/^\ufeff/, ""));
  } catch {
    throw unexpected(path, "it is not plain JSON (comments and trailing commas are not supported)");
  }
}

function unexpected(path: string, why: string): Fault {
  return new Fault("usage", "hooks.settings_unreadable", `${path} was left unchanged: ${why}.`, [
    { intent: "Spawn an agent, whose own hooks work without it", command: "mu agent spawn <name> --cli claude" },
  ]);
}

/** The tree of a text that `JSON.parse` accepts: an object's children are its properties, a list's are its values. */
function parseJsonText(text: string): Node {
  const root = parseTree(text);
  if (root === undefined) throw new Error("a JSON text has a value");
  return root;
}

const membersOf = (node: Node | undefined): readonly Node[] => node?.children ?? [];
const endOf = ({ offset, length }: Node): number => offset + length;

/** The value of an object's member, or the item of a list itself. */
function memberValue(member: Node): Node {
  return member.type === "property" ? (member.children?.[1] ?? member) : member;
}

/** The member of that key; of several the last, as in `JSON.parse`. */
function findMember(node: Node, key: string): Node | undefined {
  if (node.type !== "object") return undefined;
  return membersOf(node).findLast((member) => member.children?.[0]?.value === key);
}

function findValue(node: Node, key: string): Node | undefined {
  const member = findMember(node, key);
  return member && memberValue(member);
}

/**
 * The text with one more member at the container's end. Nothing else is touched, and `removeMember` takes out exactly
 * what was put in. In an empty container the member stands right behind the bracket: see `wasCreated`.
 */
function appendMember(text: string, node: Node, member: string, indent: string): string {
  const last = membersOf(node).at(-1);
  if (last) return `${text.slice(0, endOf(last))},\n${indent}${member}${text.slice(endOf(last))}`;
  return text.slice(0, node.offset + 1) + member + text.slice(node.offset + 1);
}

function removeMember(text: string, node: Node, index: number): string {
  const members = membersOf(node);
  const [before, member, after] = [members[index - 1], members[index], members[index + 1]];
  if (!member) return text;
  const start = before ? endOf(before) : member.offset;
  const end = before ? endOf(member) : (after?.offset ?? endOf(member));
  return text.slice(0, start) + text.slice(end);
}

/**
 * Whether the container was written together with its first member, and not an empty one that someone had: in that
 * case there is space between the bracket and the member.
 */
function wasCreated(text: string, node: Node): boolean {
  return /\s/.test(text[node.offset + 1] ?? "");
}

/** The value as text, its further lines indented to stand in a line that is indented so. */
function formatJson(value: unknown, indent: string): string {
  return JSON.stringify(value, null, 2).replace(/\n/g, `\n${indent}`);
}
