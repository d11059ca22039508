import { rulesOf } from "../../screen/rules.js";
import { findLastRow, type Geometry, type Row } from "../../screen/screen.js";
import { type AgentCli, SLASH_COMMAND } from "../cli.js";
import { readClaudeEvents } from "./feed.js";
import { claudeHooks } from "./hooks.js";
import { claudeMeter } from "./meter.js";
import { claudeHeadless } from "./result.js";

const rule = rulesOf("claude");

const RULE = /^─{8,}/;
/** The composer's first row: a chevron, or the mark of bash (`!`) and memory (`#`) input. */
const PROMPT = /^[❯>!#&](?:\s|$)/;
/** Assistant text is never at column 0 behind one of these glyphs, so a spinner row cannot be a quotation. */
const SPINNER = /^[·*✢✳✶✻✽✺] \S.*…/;
const INTERRUPTIBLE = /\besc to interrupt\b/;
const OPTION = /^\s*❯?\s*(?:\d+\.\s*)?(?:Yes|No|Allow|Deny|Accept|Decline|Reject)\b/;
const KEYS = /\b(?:Esc to (?:cancel|exit|go back|close)|Enter to (?:confirm|continue|select|submit|set))\b/i;
const FAILURE =
  /^\s*(?:⎿|●|⏺)\s+(?:API Error|Credit balance|Invalid API key|Not logged in|Please run \/login|Request timed out|Prompt is too long|Unable to connect|Connection (?:error|refused)|OAuth|Authentication|.{0,40}\blimit (?:reached|exceeded)|.{0,20}hit your .{0,20}limit|.{0,20}out of .{0,20}usage|.{0,30}overloaded|\d{3} .{0,60}error)/i;

/** Claude Code: alternate screen; the footer says `esc to interrupt` through a whole turn, dialogs replace the composer. */
export const claude: AgentCli = {
  key: "claude",
  seenWith: ["2.1.329", "2.1.332"],
  command: "claude",
  switches: {
    access: { full: [], "read-only": ["--permission-mode", "plan"] },
    resume: (sessionRef) => ["--resume", sessionRef],
    events: (file) => ["--settings", file],
  },
  // mu names the pane; Claude Code would overwrite the title at its start.
  env: () => ({ CLAUDE_CODE_DISABLE_TERMINAL_TITLE: "1" }),
  variables: /^(?:ANTHROPIC_\w+|CLAUDE_CONFIG_DIR|CLAUDE_CODE_(?:OAUTH_TOKEN|USE_\w+)|(?:AWS|GOOGLE|VERTEX)_\w+)$/,
  interrupt: ["Escape"],
  pasteEnterDelayMs: 150,
  homeColumn: () => 2,
  placeholder: /^(?:Try "|Press up to edit queued messages|Once fixed, resend your message)/,
  proof: { by: "composer", pasted: /\[Pasted text #\d+/, queued: /^\s+⎿\s+Queued\b/, event: "UserPromptSubmit" },
  misreads: { before: /^!/, after: /\\$/, refuse: [SLASH_COMMAND] },
  hooks: claudeHooks,
  readEvents: readClaudeEvents,
  headless: claudeHeadless,
  meter: claudeMeter,
  reading: {
    by: "screen",
    findGeometry,
    turnStart: /^❯ /,
    blockStart: /^(?:[❯●⏺]|[·*✢✳✶✻✽✺] )/,
    rules: [
      rule("stopped", {
        all: [{ cursor: "below" }, { in: "screen", last: 4, line: /^Claude Code (?:is|has been) suspended\./ }],
      }),
      {
        name: "claude.limit-menu",
        status: "needs_input",
        reason: "usage limit reached, a choice is open: $line",
        when: { in: "dialog", line: /stop and wait for limit to reset/i },
      },
      {
        name: "claude.question",
        status: "needs_input",
        reason: "asks a question",
        when: {
          any: [
            { in: "dialog", last: 3, line: /^\s*Enter to select\b.*(?:to navigate|Esc to cancel)/i },
            { in: "dialog", line: /^\s*(?:Review your answers|Ready to submit your answers\?)/ },
            { in: "dialog", line: /^\s*MCP server .* requests your input/ },
          ],
        },
      },
      {
        name: "claude.first-start",
        status: "needs_permission",
        reason: "first start: $line",
        when: {
          in: "dialog",
          line: /^\s*(?:Select login method|Paste code here|Browser didn.t open|Choose the text style|Let.s get started|Login successful|Press Enter to continue|Security notes)/i,
        },
      },
      {
        name: "claude.trust",
        status: "needs_permission",
        reason: "asks whether to trust the folder",
        when: { in: "dialog", line: /\bI trust (?:this|the) folder|Quick safety check|Do you trust\b/i },
      },
      rule("permission", {
        all: [
          {
            in: "dialog",
            line: /^\s*(?:Do you want|Would you like|Ready to code\?|Claude has written up a plan|Allow\b|Waiting for permission|.{0,80}\bwants to\b)/,
          },
          { in: "dialog", line: OPTION },
        ],
      }),
      rule("confirm", {
        all: [
          { in: "dialog", line: OPTION },
          { in: "dialog", last: 4, line: KEYS },
        ],
      }),
      rule("menu", {
        any: [
          { in: "dialog", last: 4, line: KEYS },
          { in: "dialog", last: 3, line: /Showing detailed transcript/ },
        ],
      }),
      rule("compaction", {
        all: [
          { in: "block", first: 1, line: /^[·*✢✳✶✻✽✺] .*compacting/i },
          {
            any: [
              { in: "footer", line: INTERRUPTIBLE },
              { in: "block", first: 1, line: SPINNER },
            ],
          },
        ],
      }),
      rule("retry", {
        all: [
          {
            in: "block",
            first: 1,
            line: /^[·*✢✳✶✻✽✺] .*(?:retrying|attempt \d+|waiting for .{0,20}(?:limit|capacity))/i,
          },
          { in: "footer", line: INTERRUPTIBLE },
        ],
      }),
      {
        name: "claude.turn",
        status: "busy",
        reason: "$line",
        when: {
          all: [
            { in: "block", first: 1, line: SPINNER },
            { in: "footer", line: INTERRUPTIBLE },
          ],
        },
      },
      rule("interruptible", { in: "footer", line: INTERRUPTIBLE }),
      rule("title-spinner", { in: "title", line: /^[\u2801-\u28ff◐◑◒◓] / }),
      {
        name: "claude.background",
        status: "busy",
        reason: "$line",
        when: {
          in: "block",
          first: 1,
          line: /^[·*✢✳✶✻✽✺] (?:Waiting for \d+ background|.*· \d+ MCP tasks? still running)/,
        },
      },
      // A footer that was cut short or replaced by a draft's hints no longer says whether a turn runs.
      rule("spinner", {
        all: [
          { in: "block", first: 1, line: SPINNER },
          { not: { in: "footer", line: /\? for shortcuts|\bon \(shift\+tab|for agents/ } },
        ],
      }),
      rule("error", { in: "turn", last: 5, line: FAILURE }),
      rule("interrupted", { in: "turn", last: 3, line: /^\s*⎿\s+Interrupted\b/ }),
      rule("composer", { in: "composer", line: PROMPT }),
    ],
  },
};

/** The composer stands between two rules, the upper one directly over the chevron; a dialog has one rule over it. */
function findGeometry(rows: readonly Row[]): Geometry {
  const bottom = findLastRow(rows, RULE);
  if (bottom < 0) return {};
  for (let top = findLastRow(rows, RULE, bottom); top >= 0; top = findLastRow(rows, RULE, top)) {
    if (PROMPT.test(rows[top + 1]?.text ?? "")) return { composer: { top, input: top + 1, bottom } };
  }
  return { dialog: bottom };
}
