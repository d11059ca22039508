import { rulesOf } from "../../screen/rules.js";
import { findLastRow, type Geometry, type Row, type Screen, screenRows } from "../../screen/screen.js";
import { type AgentCli, type LaunchOptions, SHELL_COMMAND } from "../cli.js";
import { readOpencodeEvents } from "./feed.js";
import { opencodeHooks } from "./hooks.js";
import { opencodeMeter } from "./meter.js";
import { opencodeHeadless } from "./result.js";

const rule = rulesOf("opencode");

const BAR = /^\s*┃/;
const BOX_END = /^\s*╹▀/;
const INTERRUPTIBLE = /\besc (?:again to )?interrupt\b/;

/** OpenCode: alternate screen; the row under the composer says `esc interrupt` while it works, dialogs replace both. */
export const opencode: AgentCli = {
  key: "opencode",
  seenWith: ["1.18.33"],
  command: "opencode",
  switches: {
    access: { full: [], "read-only": ["--agent", "plan"] },
    resume: (sessionRef) => ["--session", sessionRef],
  },
  env: environment,
  variables: /^(?:\w+_API_KEY|(?:ANTHROPIC|OPENAI|AWS|GOOGLE)_\w+|OPENCODE_(?:CONFIG|DISABLE)\w*)$/,
  interrupt: ["Escape", "Escape"],
  pasteEnterDelayMs: 150,
  homeColumn,
  placeholder: /^Ask anything(?:…|\.\.\.)/,
  proof: {
    by: "composer",
    pasted: /\[Pasted ~\d+ lines\]/,
    queued: /\bQUEUED\b/,
    event: "session.status",
    early: true,
  },
  misreads: { before: /^\/\S+\s/, after: /@\S*$/, refuse: [SHELL_COMMAND] },
  startMs: 60_000,
  hooks: opencodeHooks,
  readEvents: readOpencodeEvents,
  headless: opencodeHeadless,
  meter: opencodeMeter,
  reading: {
    by: "screen",
    findGeometry,
    rules: [
      {
        name: "opencode.question",
        status: "needs_input",
        reason: "asks a question",
        when: { in: "dialog", last: 5, line: /\besc\s+dismiss\b/ },
      },
      rule("permission", {
        any: [
          { in: "dialog", line: /^\s*┃\s+△ / },
          { in: "dialog", last: 4, line: /^\s*┃.*\benter\s+confirm\b/ },
        ],
      }),
      rule("menu", {
        all: [
          { cursor: "elsewhere" },
          { in: "screen", line: /\S {2,}esc\s*$/ },
          { not: { in: "footer", line: INTERRUPTIBLE } },
        ],
      }),
      rule("retry", { in: "footer", line: /\[?retrying\b|attempt #\d+/i }),
      rule("interruptible", { in: "footer", line: INTERRUPTIBLE }),
      rule("interrupted", { in: "above", last: 1, line: /^\s*▣ .*· interrupted\b/ }),
      // A turn that ended well carries its duration behind the model's name.
      rule("error", {
        all: [
          {
            in: "above",
            last: 5,
            line: /^\s*┃\s+.*\b(?:error|invalid|credit|balance|quota|limit|unauthori[sz]ed|forbidden|denied|failed|overloaded|time(?:d )?out|unable|exceeded|not found|unavailable|terminated)\b/i,
          },
          { not: { in: "above", last: 1, line: /^\s*▣ .*· [\d.]+(?:ms|s|m|h)\b/ } },
        ],
      }),
      rule("composer", { in: "composer", line: BAR }),
    ],
  },
};

/** The title stays mu's; a plugin is named by an inline configuration, which is merged over the user's files. */
function environment(options: LaunchOptions): Record<string, string> {
  const plugin = options.eventsFile && { plugin: [`file://${options.eventsFile}`] };
  return {
    OPENCODE_DISABLE_TERMINAL_TITLE: "1",
    ...(plugin && { OPENCODE_CONFIG_CONTENT: JSON.stringify(plugin) }),
  };
}

/** Three columns behind the composer's bar: 5 in a session, further right on the centred start screen. */
function homeColumn(screen: Screen): number {
  const rows = screenRows(screen);
  const input = findGeometry(rows).composer?.input ?? -1;
  const bar = rows[input]?.text.indexOf("┃") ?? -1;
  return bar < 0 ? 5 : bar + 3;
}

/** The composer is the barred box that ends in half blocks: a blank row, the input, a blank row, the agent's name. */
function findGeometry(rows: readonly Row[]): Geometry {
  const bottom = findLastRow(rows, BOX_END);
  const bar = findLastRow(rows, BAR);
  if (bottom < 0 || bar > bottom) return { dialog: boxStart(rows, bar) };
  const top = boxStart(rows, bottom - 1);
  return { composer: { top, input: Math.min(top + 1, bottom), bottom } };
}

function boxStart(rows: readonly Row[], end: number): number {
  return rows.slice(0, Math.max(0, end)).findLastIndex((row) => !BAR.test(row.text)) + 1;
}
