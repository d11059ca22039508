import { findLastRow, type Geometry } from "../screen/layout.js";
import type { Condition } from "../screen/rule.js";
import type { Row } from "../screen/screen.js";
import type { AgentCli, HeadlessOptions, LaunchOptions } from "./cli.js";
import { asList, asNumber, asObject, asText, type Json, parseLines } from "./json.js";
import { type HeadlessResult, settleResult, type Tokens } from "./result.js";

/** The editor, and every dialog that replaces it, stands between the last two rules. */
const RULE = /^─{8,}/;
/** Dialogs mark the chosen option with an arrow and end with a row of keys, both indented; a draft starts at column 0. */
const DIALOG = /^ {0,2}→ |^ +.*\b(?:esc|escape|ctrl\+c)\b.* cancel\b/;
const SPINNER = "^ ?[\\u2801-\\u28ff] ";

/** The spinner is a paragraph of its own over the editor: one row, two in a narrow pane. */
function spinner(line: RegExp): Condition {
  return {
    all: [
      { in: "block", first: 1, line },
      { in: "above", last: 2, line },
    ],
  };
}

/** pi: no permission prompts of its own (extensions add them), no alternate screen, a spinner over the editor. */
export const pi: AgentCli = {
  key: "pi",
  command: "pi",
  access: { full: [], "read-only": ["--tools", "read,grep,find,ls"] },
  interactive: (options) => ({ args: switches(options), env: {} }),
  resume: (sessionRef, options) => ({ args: ["--session", sessionRef, ...switches(options)], env: {} }),
  headless: (prompt, options) => ({
    args: ["-p", "--mode", "json", ...session(options), ...switches(options), guard(prompt)],
    env: {},
  }),
  parseResult,
  pasteEnterDelayMs: 150,
  homeColumn: () => 0,
  proof: { by: "composer", pasted: /^\[paste #\d+/, queued: /^ (?:Steering|Follow-up): /, event: "input" },
  reading: {
    by: "screen",
    findGeometry,
    rules: [
      {
        name: "pi.login",
        status: "needs_permission",
        reason: "asks for a login: $line",
        when: {
          in: "dialog",
          first: 3,
          line: /^\s*(?:Select (?:a )?provider|Log ?in\b|Sign in\b|Enter .{0,30}API key|Paste\b)/i,
        },
      },
      {
        name: "pi.confirm",
        status: "needs_permission",
        reason: "asks for permission: $line",
        when: {
          all: [
            { in: "dialog", line: /^ (?! *(?:→ )?(?:Yes|No)$)\S/, first: 2 },
            { in: "dialog", line: /^ +(?:→ )?(?:Yes|Allow|Approve|Trust)\b/ },
            { in: "dialog", line: /^ +(?:→ )?(?:No|Deny|Block|Reject|Don't)\b/ },
          ],
        },
      },
      {
        name: "pi.dialog",
        status: "needs_input",
        reason: "a question or a menu is open: $line",
        when: { in: "dialog", line: DIALOG },
      },
      {
        name: "pi.retry",
        status: "busy",
        reason: "a retry is in progress: $line",
        when: spinner(new RegExp(`${SPINNER}.*(?:retrying|rate limit)`, "i")),
      },
      {
        name: "pi.compaction",
        status: "busy",
        reason: "compaction: $line",
        when: spinner(new RegExp(`${SPINNER}.*(?:compacting|summarizing)`, "i")),
      },
      {
        name: "pi.spinner",
        status: "busy",
        reason: "$line",
        when: spinner(new RegExp(`${SPINNER}\\S`)),
      },
      {
        name: "pi.no-models",
        status: "needs_input",
        reason: "cannot start a turn: $line",
        when: {
          all: [
            { in: "above", line: /^ Warning: No models available/ },
            { in: "footer", line: /\b(?:unknown|no.model)$/ },
          ],
        },
      },
      { name: "pi.error", status: "idle", reason: "$line", when: { in: "block", line: /^ ?Error: /, first: 1 } },
      {
        name: "pi.interrupted",
        status: "idle",
        reason: "interrupted: $line",
        when: { in: "block", line: /^ ?Operation aborted/, last: 1 },
      },
      { name: "pi.editor", status: "idle", reason: "ready for a prompt", when: { in: "composer", line: RULE } },
    ],
  },
};

function switches(options: LaunchOptions): string[] {
  return [
    ...pi.access[options.access ?? "full"],
    ...(options.model === undefined ? [] : ["--model", options.model]),
    ...(options.eventsFile === undefined ? [] : ["-e", options.eventsFile]),
  ];
}

function session(options: HeadlessOptions): string[] {
  return options.sessionRef === undefined ? [] : ["--session", options.sessionRef];
}

/** pi reads an argument with a leading `-` as a switch and one with `@` as a file. */
function guard(prompt: string): string {
  return /^[-@]/.test(prompt) ? `\n${prompt}` : prompt;
}

function findGeometry(rows: readonly Row[]): Geometry {
  const bottom = findLastRow(rows, RULE);
  const top = findLastRow(rows, RULE, bottom);
  if (bottom < 0 || top < 0) return {};
  if (rows.slice(top + 1, bottom).some((row) => DIALOG.test(row.text))) return { dialog: top + 1 };
  return { composer: { top, input: top + 1, bottom } };
}

function parseResult(stdout: string, stderr: string, exitCode: number | null): HeadlessResult {
  const events = parseLines(stdout);
  const answers = events.filter((event) => event.type === "message_end").map((event) => asObject(event.message));
  const replies = answers.filter((message) => message.role === "assistant");
  const last = replies.at(-1) ?? {};
  const failed = last.stopReason === "error" || last.stopReason === "aborted";
  const answer = {
    sessionRef: asText(events.find((event) => event.type === "session")?.id),
    text: readText(last),
    costUsd: replies.length > 0 ? sum(replies, (usage) => asNumber(asObject(usage.cost).total)) : undefined,
    tokens: readTokens(replies),
    error: failed ? (asText(last.errorMessage) ?? String(last.stopReason)) : undefined,
  };
  return settleResult(answer, stderr, exitCode);
}

function readText(message: Json): string | undefined {
  const parts = asList(message.content).map(asObject);
  const text = parts.filter((part) => part.type === "text").map((part) => asText(part.text) ?? "");
  return text.length > 0 ? text.join("\n") : undefined;
}

function readTokens(replies: readonly Json[]): Tokens {
  return {
    input: sum(replies, (usage) => asNumber(usage.input)),
    output: sum(replies, (usage) => asNumber(usage.output)),
    cacheRead: sum(replies, (usage) => asNumber(usage.cacheRead)),
    cacheWrite5m: sum(replies, (usage) => asNumber(usage.cacheWrite)),
    cacheWrite1h: 0,
  };
}

function sum(replies: readonly Json[], read: (usage: Json) => number): number {
  return replies.reduce((total, message) => total + read(asObject(message.usage)), 0);
}
