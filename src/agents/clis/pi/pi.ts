import { type Condition, rulesOf } from "../../screen/rules.js";
import { findLastRow, type Geometry, type Row } from "../../screen/screen.js";
import { type AgentCli, SHELL_COMMAND, SLASH_COMMAND } from "../cli.js";
import { readPiEvents } from "./feed.js";
import { piHooks } from "./hooks.js";
import { piMeter } from "./meter.js";
import { piHeadless } from "./result.js";

const rule = rulesOf("pi");

/** The editor, and every dialog that replaces it, stands between the last two rules. pi 1 works in the upper one. */
const RULE = /^─{8,}|^─+ [\u2801-\u28ff] /;
/** Dialogs mark the chosen option with an arrow and end with a row of keys, both indented; a draft starts at column 0. */
const DIALOG = /^ {0,2}→ |^ +.*\b(?:esc|escape|ctrl\+c)\b.* cancel\b/;
const SPINNER = "^(?: ?|─+ )[\\u2801-\\u28ff] ";

/** The spinner is a paragraph of its own over the editor (one row, two in a narrow pane), or stands in its rule. */
function spinner(line: RegExp): Condition {
  const paragraph: Condition = {
    all: [
      { in: "block", first: 1, line },
      { in: "above", last: 2, line },
    ],
  };
  return { any: [paragraph, { in: "composer", first: 1, line }] };
}

/** pi: no permission prompts of its own (extensions add them), no alternate screen, a spinner over the editor. */
export const pi: AgentCli = {
  key: "pi",
  seenWith: ["0.74.2", "1.6.0"],
  command: "pi",
  switches: {
    access: { full: [], "read-only": ["--tools", "read,grep,find,ls"] },
    resume: (sessionRef) => ["--session", sessionRef],
    events: (file) => ["-e", file],
  },
  variables: /^(?:\w+_API_KEY|(?:ANTHROPIC|OPENAI|AWS|GOOGLE)_\w+|PI_(?:OFFLINE|TELEMETRY|CODING_AGENT_DIR))$/,
  interrupt: ["Escape"],
  pasteEnterDelayMs: 150,
  homeColumn: () => 0,
  proof: { by: "composer", pasted: /^\[paste #\d+/, queued: /^ (?:Steering|Follow-up): /, event: "input" },
  misreads: { after: /\\$/, refuse: [SLASH_COMMAND, SHELL_COMMAND] },
  hooks: piHooks,
  readEvents: readPiEvents,
  headless: piHeadless,
  meter: piMeter,
  reading: {
    by: "screen",
    findGeometry,
    rules: [
      // It ends its own drawing on Ctrl-Z, also where nothing can stop it, and waits for SIGCONT.
      rule("stopped", { all: [{ cursor: "below" }, { in: "footer", line: /./ }] }),
      rule("login", {
        in: "dialog",
        first: 3,
        line: /^\s*(?:Select (?:a )?provider|Log ?in\b|Sign in\b|Enter .{0,30}API key|Paste\b)/i,
      }),
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
      rule("retry", spinner(new RegExp(`${SPINNER}.*(?:retrying|rate limit)`, "i"))),
      rule("compaction", spinner(new RegExp(`${SPINNER}.*(?:compacting|summarizing)`, "i"))),
      rule("spinner", spinner(new RegExp(`${SPINNER}\\S`))),
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
      rule("interrupted", { in: "block", line: /^ ?Operation aborted/, last: 1 }),
      { name: "pi.editor", status: "idle", reason: "ready for a prompt", when: { in: "composer", line: RULE } },
    ],
  },
};

function findGeometry(rows: readonly Row[]): Geometry {
  const bottom = findLastRow(rows, RULE);
  const top = findLastRow(rows, RULE, bottom);
  if (bottom < 0 || top < 0) return {};
  if (rows.slice(top + 1, bottom).some((row) => DIALOG.test(row.text))) return { dialog: top + 1 };
  return { composer: { top, input: top + 1, bottom } };
}
