import { rulesOf } from "../../screen/rules.js";
import { findLastRow, type Geometry, type Row } from "../../screen/screen.js";
import type { AgentCli } from "../cli.js";
import { codexMeter } from "./meter.js";
import { codexHooks, readCodexEvents } from "./notify.js";
import { codexHeadless } from "./result.js";

const rule = rulesOf("codex");

const OPTION = /^(?:›|\s)\s*\d+\.\s+(?:Yes|No|Allow|Approve|Deny|Decline|Cancel|Accept|Reject|Trust)\b/;
const KEYS =
  /\b(?:press enter to|enter to (?:confirm|select|continue|submit|save)|esc to (?:cancel|go back|close|exit)|q to quit)\b/i;
const ANSWER_KEYS = /\benter\b:? (?:to )?submit (?:answer|all)|\bto change answer\b/i;
const TIMER = /\((?:\d+[hms] ?){1,3} ?• esc to interrupt\)/;
/** Codex's own title of a thread, `<task> | <folder>`, spins while it works: without a spinner no status row is live. */
const CALM_TITLE = { in: "title", line: /^[^\u2801-\u28ff]+ \| [^\u2801-\u28ff]*$/ } as const;
const STATUS = new RegExp(`^(?:[•◦] )?\\S.*${TIMER.source}`);

/** Codex: alternate screen; the title spins while it works, the status row over the composer vanishes while text streams. */
export const codex: AgentCli = {
  key: "codex",
  seenWith: ["0.169.0", "0.171.0"],
  command: "codex",
  switches: {
    access: {
      full: ["-c", 'sandbox_mode="workspace-write"'],
      "read-only": ["-c", 'sandbox_mode="read-only"'],
    },
    resume: (sessionRef) => ["resume", sessionRef],
    events: (file) => ["-c", `notify=[${JSON.stringify(file)}]`],
    always: ({ stateDir, writableDirs = [] }) => [
      "-c",
      `sandbox_workspace_write.writable_roots=${JSON.stringify([stateDir, ...writableDirs])}`,
    ],
  },
  variables: /^(?:OPENAI_\w+|CODEX_(?:HOME|API_KEY))$/,
  interrupt: ["Escape"],
  pasteEnterDelayMs: 150,
  homeColumn: () => 2,
  placeholder:
    /^(?:Ask Codex to do anything|Explain this codebase|Summarize recent commits|Implement \{feature\}|Find and fix a bug in @filename|Write tests for @filename|Improve documentation in @filename|Run \/review on my current changes|Use \/skills to list available skills)$/,
  proof: {
    by: "composer",
    pasted: /\[Pasted Content \d+ chars\]/,
    queued: /^• (?:Queued follow-up inputs|Messages to be submitted)/,
    event: "working",
  },
  misreads: { before: /^(?:\/\S+\s|!)/, after: /@\S*$/ },
  hooks: codexHooks,
  readEvents: readCodexEvents,
  headless: codexHeadless,
  meter: codexMeter,
  reading: {
    by: "screen",
    findGeometry,
    turnStart: /^› /,
    blockStart: new RegExp(`^(?:[•◦](?! (?:Queued follow-up|Messages to be))|[■›✔✗✘⚠✨]|\\S.*${TIMER.source})`),
    rules: [
      rule("question", {
        any: [
          { in: "dialog", line: /^\s*Question \d+\/\d+/ },
          { in: "dialog", last: 3, line: ANSWER_KEYS },
        ],
      }),
      {
        name: "codex.trust",
        status: "needs_permission",
        reason: "asks whether to trust the folder: $line",
        when: {
          all: [
            { in: "dialog", line: /\btrust the (?:contents|files)|^> You are (?:in|running)|allow Codex to work/i },
            { in: "dialog", line: OPTION },
          ],
        },
      },
      rule("login", {
        in: "dialog",
        line: /Sign in with ChatGPT|Provide your own API key|Finish signing in|Signed in with/i,
      }),
      {
        name: "codex.update",
        status: "needs_input",
        reason: "an update notice waits for an answer: $line",
        when: {
          all: [
            { in: "dialog", line: /Update available|Update now/i },
            { in: "dialog", last: 3, line: KEYS },
          ],
        },
      },
      rule("permission", {
        all: [
          {
            in: "dialog",
            line: /^\s*(?:Would you like|Do you want|Allow\b|Apply changes|Implement this plan|.{0,80}needs your approval)/,
          },
          { in: "dialog", line: OPTION },
          { in: "dialog", last: 3, line: KEYS },
        ],
      }),
      rule("confirm", {
        all: [
          { in: "dialog", line: OPTION },
          { in: "dialog", last: 3, line: KEYS },
        ],
      }),
      rule("menu", { in: "dialog", last: 3, line: KEYS }),
      rule("title-action", { in: "title", line: /\bAction Required\b/ }),
      rule("retry", {
        in: "block",
        first: 1,
        line: new RegExp(`^(?:[•◦] )?.*(?:reconnecting|retrying|rate limit|server is busy).*${TIMER.source}`, "i"),
      }),
      rule("compaction", { in: "block", first: 1, line: new RegExp(`^(?:[•◦] )?.*compact.*${TIMER.source}`, "i") }),
      {
        // Only details (`└`, `↳`) follow a status row; plain text under it makes it a quotation in an answer.
        name: "codex.status",
        status: "busy",
        reason: "$line",
        when: {
          all: [
            { in: "block", first: 1, line: STATUS },
            { not: { in: "block", line: /^ {2}[\p{L}\p{N}]/u } },
            { not: CALM_TITLE },
          ],
        },
      },
      rule("title-spinner", { in: "title", line: /(?:^|\s)[\u2801-\u28ff](?:\s|$)/ }),
      rule("interrupted", { in: "block", first: 1, line: /^■ Conversation interrupted/ }),
      rule("error", { in: "block", first: 1, line: /^■ / }),
      rule("composer", { in: "composer", line: /^›/ }),
    ],
  },
};

/** The last row with the chevron is the composer, unless it is the chosen option of a dialog or keys of one follow. */
function findGeometry(rows: readonly Row[]): Geometry {
  const input = findLastRow(rows, /^›(?:\s|$)/);
  if (input < 0) return {};
  const after = rows.slice(input);
  const option = /^› \d+\. /.test(rows[input]?.text ?? "");
  const keys = after.slice(1).findLast((row) => row.text !== "" && (KEYS.test(row.text) || ANSWER_KEYS.test(row.text)));
  if (keys) return option ? { dialog: dialogStart(rows, input) } : { dialog: input + 1 };
  const blank = after.findIndex((row) => row.text === "");
  return { composer: { top: input, input, bottom: blank < 0 ? input : input + blank - 1 } };
}

/** A dialog begins under the last block of the transcript. */
function dialogStart(rows: readonly Row[], option: number): number {
  return findLastRow(rows, /^[•◦■✔✗✘⚠]/, option) + 1;
}
