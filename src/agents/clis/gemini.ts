import { rulesOf } from "../screen/rules.js";
import { findLastRow, type Geometry, type Row } from "../screen/screen.js";
import { type AgentCli, SLASH_COMMAND } from "./cli.js";
import { geminiHeadless } from "./gemini-result.js";

const rule = rulesOf("gemini");

/** A rule, or the half blocks that true-colour terminals get instead. */
const RULE = /^ ?[─▀▄]{8,}/;
const PROMPT = /^ ?(?:│ )?[>!*](?:\s|$)/;
const READY = { in: "title", line: /^◇/ } as const;
const SPINNER = "^ ?[\\u2801-\\u28ff] .*";
const OPTION = /^[│\s]*●?\s*\d+\.\s+(?:Allow|Yes|No\b|Trust|Don't trust|Modify|Approve|Reject|Deny)/;

/** Gemini CLI: the title says `Ready`, `Working…` or `Action Required` exactly; the screen says what it is about. */
export const gemini: AgentCli = {
  key: "gemini",
  seenWith: ["0.61.0"],
  command: "gemini",
  switches: {
    access: { full: [], "read-only": ["--approval-mode=plan"] },
    resume: (sessionRef) => ["--resume", sessionRef],
    begin: (sessionRef) => ["--session-id", sessionRef],
  },
  variables: /^(?:GEMINI|GOOGLE)_(?!CLI$)\w+$/,
  interrupt: ["Escape"],
  pasteEnterDelayMs: 150,
  homeColumn: () => 3,
  placeholder: /^Type your message or @path/,
  proof: { by: "composer", pasted: /\[Pasted Text: \d+ lines\]/, queued: /\bQueued \(press ↑ to edit\)/ },
  misreads: { before: /^!/, after: /(?:\\|@\S*)$/, refuse: [SLASH_COMMAND] },
  headless: geminiHeadless,
  reading: {
    by: "screen",
    findGeometry,
    turnStart: /^ > /,
    blockStart: /^(?:[✦✕✗ℹ⚠⚡╭]| > )/,
    rules: [
      {
        name: "gemini.plan",
        status: "needs_permission",
        reason: "asks whether to carry out its plan",
        when: { in: "dialog", last: 5, line: /Ctrl\+X to edit plan/i },
      },
      {
        name: "gemini.loop",
        status: "needs_input",
        reason: "asks about a loop: $line",
        when: { in: "dialog", line: /potential loop was detected/i },
      },
      {
        name: "gemini.quota-menu",
        status: "needs_input",
        reason: "usage limit reached, a choice is open: $line",
        when: {
          all: [
            {
              in: "dialog",
              line: /\b(?:limit|quota)\b.{0,40}\b(?:reached|exceeded)|high demand|reached your .{0,30}(?:limit|quota)/i,
            },
            { in: "dialog", line: /^[│\s]*●\s*\d+\./ },
          ],
        },
      },
      rule("question", {
        any: [
          { in: "dialog", last: 5, line: /\bEnter to (?:select|submit) ·.*\bEsc to cancel/i },
          { in: "dialog", line: /^[│\s]*Review your answers/ },
        ],
      }),
      rule("login", {
        in: "dialog",
        line: /How would you like to authenticate|Login with Google|Enter Gemini API key|Waiting for auth/i,
      }),
      rule("permission", {
        all: [
          { in: "dialog", line: /^[│\s]*(?:Allow|Apply|Do you|Would you|Are you sure)\b.*\?/ },
          { in: "dialog", line: OPTION },
        ],
      }),
      rule("confirm", { in: "dialog", line: OPTION }),
      rule("menu", { in: "dialog", line: /^[│\s]*●\s*(?:\d+\.)?\s*\S|\bEsc to close|\(Use Enter to select/i }),
      rule("title-action", { in: "title", line: /^✋/ }),
      rule("retry", {
        all: [
          {
            in: "above",
            last: 4,
            line: new RegExp(`${SPINNER}(?:attempt \\d+|retry|rate limit|quota|capacity)`, "i"),
          },
          { not: READY },
        ],
      }),
      {
        name: "gemini.compression",
        status: "busy",
        reason: "compaction: $line",
        when: {
          any: [
            { all: [{ in: "above", last: 4, line: new RegExp(`${SPINNER}compress`, "i") }, { not: READY }] },
            { in: "block", first: 1, line: /^✦ Compressing chat history/ },
          ],
        },
      },
      rule("spinner", {
        all: [{ in: "above", last: 4, line: new RegExp(`${SPINNER}\\(?esc to cancel`, "i") }, { not: READY }],
      }),
      {
        name: "gemini.title-working",
        status: "busy",
        reason: "works: $line",
        when: { in: "title", line: /^[✦⏲]/ },
      },
      rule("interrupted", { in: "turn", last: 5, line: /^ℹ Request cancelled/ }),
      rule("error", { in: "turn", line: /^ ?[✕⚡] / }),
      rule("composer", { any: [{ in: "composer", line: PROMPT }, READY] }),
    ],
  },
};

/** The composer is the prompt within a few rows under the last rule; a dialog is the last box and has no such rule. */
function findGeometry(rows: readonly Row[]): Geometry {
  for (let top = findLastRow(rows, RULE); top >= 0; top = findLastRow(rows, RULE, top)) {
    const under = rows.slice(top + 1, top + 6).findIndex((row) => PROMPT.test(row.text));
    if (under < 0) continue;
    const input = top + 1 + under;
    const end = rows.slice(input).findIndex((row) => row.text === "");
    const bottom = end < 0 ? input : input + end - 1;
    if (rows.slice(bottom + 1).some((row) => /^ ?[╭╰]/.test(row.text))) break;
    return { composer: { top, input, bottom } };
  }
  return { dialog: Math.max(0, findLastRow(rows, /^(?:[✦✕ℹ]| > )/) + 1) };
}
