import { expect, test } from "vitest";
import { getAgentCli } from "../../src/agents/clis/table.js";
import type { Screen, ScreenStatus } from "../../src/agents/screen/screen.js";
import { explainScreen } from "../../src/agents/screen/verdict.js";
import { claudeDialog, claudePane, codexPane, geminiPane, opencodePane, pane, piPane } from "./screens.js";

type Case = readonly [name: string, cli: string, screen: Screen, status: ScreenStatus, reason: RegExp];

const YES_NO = [
  " ❯ 1. Yes",
  "   2. Yes, allow all edits during this session (shift+tab)",
  "   3. No",
  "",
  " Esc to cancel · Tab to amend",
];
const ASK = [
  "",
  "❯ 1. SQLite",
  "     One file.",
  "  2. Postgres",
  "  3. Type something.",
  "─".repeat(100),
  "  4. Chat about this",
  "",
];
const KEYS = "Enter to select · ↑/↓ to navigate · Esc to cancel";
const IDLE = "⏸ manual mode on · ? for shortcuts";
const BUSY = "⏵⏵ auto mode on (shift+tab to cycle) · esc to interrupt";

const CLAUDE: readonly Case[] = [
  [
    "a file edit",
    "claude",
    claudeDialog([" Edit file", " src/a.ts", " 1 - a", " 1 + b", " Do you want to make this edit to a.ts?", ...YES_NO]),
    "needs_permission",
    /make this edit/,
  ],
  [
    "a new file",
    "claude",
    claudeDialog([" Create file", " a.txt", " Do you want to create a.txt?", ...YES_NO]),
    "needs_permission",
    /create a\.txt/,
  ],
  [
    "a fetch",
    "claude",
    claudeDialog([" Fetch", " https://example.org", " Do you want to allow Claude to fetch this content?", ...YES_NO]),
    "needs_permission",
    /fetch/,
  ],
  [
    "a plan",
    "claude",
    claudeDialog([
      " Ready to code?",
      " Claude has written up a plan and is ready to execute. Would you like to proceed?",
      "",
      " ❯ 1. Yes, and use auto mode",
      "   2. Yes, manually approve edits",
      "   3. Tell Claude what to change",
      "",
      " ctrl-g to edit in Vim · ~/.claude/plans/x.md",
    ]),
    "needs_permission",
    /Ready to code/,
  ],
  [
    "a question",
    "claude",
    claudeDialog([" ☐ Database", "", "Which database should I use?", ...ASK, KEYS]),
    "needs_input",
    /question/,
  ],
  [
    "a question with yes and no",
    "claude",
    claudeDialog([" ☐ Go on", "", "Would you like to go on?", "", "❯ 1. Yes", "  2. No", "", KEYS]),
    "needs_input",
    /question/,
  ],
  [
    "answers to review",
    "claude",
    claudeDialog([
      "←  ☒ Database  ☒ Port  ✔ Submit  →",
      "",
      "Review your answers",
      " ● Which database? → SQLite",
      "",
      "Ready to submit your answers?",
      "❯ 1. Submit answers",
      "  2. Cancel",
    ]),
    "needs_input",
    /question/,
  ],
  [
    "the limit's menu",
    "claude",
    claudeDialog([
      " What do you want to do?",
      "",
      " ❯ 1. Stop and wait for limit to reset",
      "   2. Upgrade your plan",
      "",
      " Enter to confirm · Esc to cancel",
    ]),
    "needs_input",
    /limit/,
  ],
  [
    "the model picker",
    "claude",
    claudeDialog([
      " Select model",
      "",
      " ❯ 1. Default ✔",
      "   2. Opus",
      "",
      " Enter to set as default · Esc to cancel",
    ]),
    "needs_input",
    /menu/,
  ],
  [
    "rewind",
    "claude",
    claudeDialog([
      " Rewind",
      " Restore the code and/or conversation to the point before…",
      " ❯ (current)",
      "",
      " Enter to continue · Esc to cancel",
    ]),
    "needs_input",
    /menu/,
  ],
  [
    "a login",
    "claude",
    pane([" Select login method:", "", " ❯ 1. Claude account with subscription", "   2. Anthropic Console account"], {
      command: "claude",
    }),
    "needs_permission",
    /login method/,
  ],
  [
    "a theme choice",
    "claude",
    pane(
      [
        " Let's get started.",
        " Choose the text style that looks best with your terminal",
        " ❯ 1. Dark mode ✔",
        "   2. Light mode",
      ],
      { command: "claude" },
    ),
    "needs_permission",
    /started/,
  ],
  [
    "the transcript viewer",
    "claude",
    pane(["● Done.", "─".repeat(100), "  Showing detailed transcript · ctrl+o to toggle"], { command: "claude" }),
    "needs_input",
    /transcript/,
  ],
  [
    "compaction",
    "claude",
    claudePane(["❯ go", "", "✶ Compacting conversation… (12s · ↓ 1.2k tokens)"], BUSY),
    "busy",
    /^compaction/,
  ],
  ["a stream without spinner", "claude", claudePane(["❯ go", "", "● Once upon"], BUSY), "busy", /./],
  [
    "todos under the spinner",
    "claude",
    claudePane(["❯ go", "", "✽ Weaving… (1m 3s · ↑ 2.2k tokens)", "  ⎿  ☒ Read", "     ☐ Write"], BUSY),
    "busy",
    /Weaving/,
  ],
  [
    "background agents",
    "claude",
    claudePane(["● Started.", "", "✻ Waiting for 2 background agents to finish"], IDLE),
    "busy",
    /background/,
  ],
  [
    "a draft in a running turn",
    "claude",
    claudePane(["❯ go", "", "✢ Grooving… (6s · ↓ 78 tokens)"], "⏸ manual mode on", "and then"),
    "busy",
    /Grooving/,
  ],
  [
    "an interrupted turn",
    "claude",
    claudePane(["❯ go", "", "● Let me th", "  ⎿  Interrupted · What should Claude do instead?"], IDLE),
    "idle",
    /^interrupted/,
  ],
  [
    "a final API error",
    "claude",
    claudePane(["❯ go", "  ⎿  API Error: 500 Internal server error · try again in a moment"], IDLE),
    "idle",
    /^error: API Error/,
  ],
  [
    "a reached limit",
    "claude",
    claudePane(["❯ go", "  ⎿  You've hit your session limit · resets 4:20am"], IDLE),
    "idle",
    /^error: .*limit/,
  ],
  [
    "an old error above a good answer",
    "claude",
    claudePane(
      ["❯ go", "  ⎿  API Error: 500", "", "❯ again", "", "● Done.", "", "✻ Baked for 3s · done 3:04 AM"],
      IDLE,
    ),
    "idle",
    /ready/,
  ],
];

const approve = (question: string): Screen =>
  pane([
    "• Working on it",
    "",
    `  ${question}`,
    "",
    "  Reason: needed",
    "",
    "› 1. Yes, proceed (y)",
    "  2. Yes, and don't ask again for these files (a)",
    "  3. No, and tell Codex what to do differently (esc)",
    "",
    "  Press enter to confirm or esc to cancel",
  ]);

const CODEX: readonly Case[] = [
  ["edits", "codex", approve("Would you like to make the following edits?"), "needs_permission", /following edits/],
  ["permissions", "codex", approve("Would you like to grant these permissions?"), "needs_permission", /grant/],
  [
    "network access",
    "codex",
    approve('Do you want to approve network access to "example.org"?'),
    "needs_permission",
    /network/,
  ],
  [
    "trust",
    "codex",
    pane([
      "> You are in ~/proj",
      "",
      "  Do you trust the contents of this directory?",
      "",
      "› 1. Yes, continue",
      "  2. No, quit",
      "",
      "  Press enter to continue",
    ]),
    "needs_permission",
    /trust/,
  ],
  [
    "a login",
    "codex",
    pane([
      "  Sign in with ChatGPT to use Codex",
      "",
      "> 1. Sign in with ChatGPT",
      "  2. Provide your own API key",
      "",
      "  Press enter to continue",
    ]),
    "needs_permission",
    /login/,
  ],
  [
    "a question",
    "codex",
    pane(
      [
        "› go",
        "",
        "• Well.",
        "",
        "  Question 1/2 (2 unanswered)",
        "  Choose an option.",
        "",
        "  › 1. Option 1  First.",
        "    2. Option 2  Second.",
        "",
        "  tab to add notes | enter to submit answer | esc to interrupt",
      ],
      { title: "[ ! ] Action Required | proj" },
    ),
    "needs_input",
    /question/,
  ],
  [
    "a free question",
    "codex",
    pane([
      "› go",
      "",
      "  Question 2/2",
      "  Share details.",
      "",
      "  › Type your answer (optional)",
      "",
      "  enter to submit all | ctrl + p prev | esc to interrupt",
    ]),
    "needs_input",
    /question/,
  ],
  [
    "the model picker",
    "codex",
    pane([
      "  Select Model and Effort",
      "",
      "› 1. gpt-6 (current)",
      "  2. gpt-6-mini",
      "",
      "  Press enter to confirm or esc to go back",
    ]),
    "needs_input",
    /menu/,
  ],
  [
    "an update",
    "codex",
    pane([
      "  ✨ Update available! 0.1 -> 0.2",
      "",
      "› 1. Update now",
      "  2. Skip",
      "  3. Skip until next version",
      "",
      "  Press enter to continue",
    ]),
    "needs_input",
    /update/,
  ],
  [
    "only the title",
    "codex",
    pane(["something new"], { title: "[ . ] Action Required | proj" }),
    "needs_permission",
    /action/,
  ],
  ["streaming", "codex", codexPane(["› go", "", "• Once upon"], "⠼ Title | proj"), "busy", /works/],
  [
    "no title",
    "codex",
    codexPane(
      ["› go", "", "• Exploring", "  └ Read a.ts", "", "◦ Working (1m 04s • esc to interrupt)", "  └ tip"],
      "worker-1",
    ),
    "busy",
    /Working/,
  ],
  [
    "queued inputs",
    "codex",
    codexPane(["• Working (4s • esc to interrupt)", "", "• Queued follow-up inputs", "  ↳ more"], "worker-1"),
    "busy",
    /Working/,
  ],
  [
    "compaction",
    "codex",
    codexPane(["• Compacting context (4s • esc to interrupt)"], "⠼ Title | proj"),
    "busy",
    /^compaction/,
  ],
  [
    "an interrupted turn",
    "codex",
    codexPane(["› go", "", "■ Conversation interrupted - tell the model what to do differently."]),
    "idle",
    /^interrupted/,
  ],
  [
    "a reached limit",
    "codex",
    codexPane(["› go", "", "■ You've hit your usage limit. Upgrade to Pro or try again at 9:11 PM."]),
    "idle",
    /^error: You've hit/,
  ],
  [
    "an old error",
    "codex",
    codexPane(["■ 500", "", "› go", "", "• Fine.", "", "  Worked for 3s • 03:02"]),
    "idle",
    /ready/,
  ],
];

const boxed = (rows: readonly string[], title = "✋  Action Required (proj)"): Screen =>
  pane(
    [
      " > go",
      "",
      "✦ Well.",
      `╭${"─".repeat(98)}╮`,
      ...rows.map((row) => `│ ${row.padEnd(96)} │`),
      `╰${"─".repeat(98)}╯`,
      "",
    ],
    { title, cursorX: 0 },
  );

const GEMINI: readonly Case[] = [
  [
    "an edit",
    "gemini",
    boxed([
      "? Edit a.ts",
      "1 - a",
      "Apply this change?",
      "",
      "● 1. Allow once",
      "  2. Allow for this session",
      "  3. Modify with external editor",
      "  4. No, suggest changes (esc)",
    ]),
    "needs_permission",
    /Apply/,
  ],
  [
    "a tool of a server",
    "gemini",
    boxed([
      'Allow execution of MCP tool "x" from server "y"?',
      "",
      "● 1. Allow once",
      "  2. No, suggest changes (esc)",
    ]),
    "needs_permission",
    /MCP/,
  ],
  [
    "a question",
    "gemini",
    boxed([
      "? Ask User",
      "Which database?",
      "",
      "● 1.  SQLite",
      "      One file.",
      "  2.  Postgres",
      "  3.  Enter a custom value",
      "",
      KEYS,
    ]),
    "needs_input",
    /question/,
  ],
  [
    "a free question",
    "gemini",
    boxed(["? Ask User", "Your name?", "> Enter your response", "", "Enter to submit · Esc to cancel"]),
    "needs_input",
    /question/,
  ],
  [
    "a plan",
    "gemini",
    boxed([
      "Overview",
      "● 1.  Yes, automatically accept edits",
      "  2.  Yes, manually accept edits",
      "",
      "Enter to select · ↑/↓ to navigate · Ctrl+X to edit plan · Esc to cancel",
    ]),
    "needs_permission",
    /plan/,
  ],
  [
    "a loop",
    "gemini",
    boxed([
      "?  A potential loop was detected",
      "● 1. Keep loop detection enabled (esc)",
      "  2. Disable loop detection for this session",
    ]),
    "needs_input",
    /loop/,
  ],
  [
    "a quota menu",
    "gemini",
    boxed(
      ["Usage limit reached for gemini-pro.", "● 1. Keep trying", "  2. Switch to flash", "  3. Stop"],
      "◇  Ready (proj)",
    ),
    "needs_input",
    /limit/,
  ],
  [
    "a login",
    "gemini",
    boxed(
      [
        "? Get started",
        "How would you like to authenticate for this project?",
        "● 1. Login with Google",
        "  2. Use Gemini API Key",
      ],
      "◇  Ready (proj)",
    ),
    "needs_permission",
    /login/,
  ],
  ["the title alone", "gemini", pane(["odd"], { title: "✋  Action Required (proj)" }), "needs_permission", /action/],
  [
    "a thought in the title",
    "gemini",
    geminiPane([" > go", "✦ Well"], "✦  Reading the files (proj)"),
    "busy",
    /Reading/,
  ],
  ["silent work", "gemini", geminiPane([" > go", "✦ Well"], "⏲  Working… (proj)"), "busy", /Working/],
  [
    "a retry",
    "gemini",
    geminiPane([" > go", " ⠏ Trying to reach gemini-pro (Attempt 2/10) (esc to cancel, 9s)"], "✦  Working… (proj)"),
    "busy",
    /retry/,
  ],
  [
    "a spinner without title",
    "gemini",
    geminiPane([" > go", " ⠏ Thinking... (esc to cancel, 9s)"], "worker-1"),
    "busy",
    /Thinking/,
  ],
  [
    "an interrupted turn",
    "gemini",
    geminiPane([" > go", "✦ Let me", "", "ℹ Request cancelled.", "", "  ? for shortcuts"], "◇  Ready (proj)"),
    "idle",
    /^interrupted/,
  ],
  [
    "a quoted spinner",
    "gemini",
    geminiPane([" > go", " ⠏ Thinking... (esc to cancel, 9s)"], "◇  Ready (proj)"),
    "idle",
    /ready/,
  ],
];

const bar = (rows: readonly string[]): string[] => ["", "  ┃", ...rows.map((row) => `  ┃  ${row}`), "  ┃", ""];
const TURN = ["", "  ┃", "  ┃  go", "  ┃", ""];

const OPENCODE: readonly Case[] = [
  [
    "an edit",
    "opencode",
    pane([
      ...TURN,
      ...bar([
        "△ Permission required",
        "  → Edit src/a.ts",
        "",
        "1 - a",
        "",
        " Allow once   Allow always   Reject    ctrl+f fullscreen  ⇆ select  enter confirm",
      ]),
    ]),
    "needs_permission",
    /Permission required/,
  ],
  [
    "always",
    "opencode",
    pane([...TURN, ...bar(["△ Always allow", "", " Confirm   Cancel       ⇆ select  enter confirm"])]),
    "needs_permission",
    /Always/,
  ],
  [
    "a question",
    "opencode",
    pane([
      ...TURN,
      ...bar([
        "Which database?",
        "",
        "1. SQLite",
        "   One file.",
        "2. Type your own answer",
        "",
        "↑↓ select  enter submit  esc dismiss",
      ]),
    ]),
    "needs_input",
    /question/,
  ],
  [
    "many questions",
    "opencode",
    pane([
      ...TURN,
      ...bar([
        " Database   Port   Confirm",
        "",
        "Which?",
        "1. [ ] SQLite",
        "",
        "⇆ tab  ↑↓ select  enter toggle  esc dismiss",
      ]),
    ]),
    "needs_input",
    /question/,
  ],
  [
    "one escape",
    "opencode",
    opencodePane(TURN, "■■⬝⬝⬝⬝⬝⬝  esc again to interrupt      1.8K (1%) · $0.01  ctrl+p commands"),
    "busy",
    /./,
  ],
  [
    "a retry",
    "opencode",
    opencodePane(TURN, "■■⬝⬝ Rate limit reached [retrying in 8s attempt #3]     esc interrupt"),
    "busy",
    /retry/,
  ],
  [
    "an interrupted turn",
    "opencode",
    opencodePane(
      [...TURN, "     Let me", "", "     ▣  Build · Fake 1 · interrupted"],
      "~/proj      1.8K (1%)  ctrl+p commands",
    ),
    "idle",
    /^interrupted/,
  ],
  [
    "a final error",
    "opencode",
    opencodePane(
      [...TURN, ...bar(["Your credit balance is too low"]), "     ▣  Build · Fake 1"],
      "~/proj      1.8K (1%)  ctrl+p commands",
    ),
    "idle",
    /^error: Your credit/,
  ],
];

const PI: readonly Case[] = [
  [
    "a choice",
    "pi",
    piPane(
      [" ⠴ Working..."],
      [
        "",
        " Which database?",
        "",
        " → SQLite",
        "   Postgres",
        "",
        " ↑↓ navigate  enter select  escape/ctrl+c cancel",
        "",
      ],
    ),
    "needs_input",
    /SQLite/,
  ],
  [
    "a free question",
    "pi",
    piPane([" ⠴ Working..."], ["", " Your name?", "", "> ", "", " enter submit  escape/ctrl+c cancel", ""]),
    "needs_input",
    /./,
  ],
  [
    "a model picker",
    "pi",
    piPane([" done"], ["> ", "", "→ fake-1 [fake] ✓", "  other [fake]", "", "  (1/2)"]),
    "needs_input",
    /./,
  ],
  [
    "a login",
    "pi",
    piPane([" done"], ["", " Select provider to login:", "", "→ Anthropic", "  OpenAI", ""]),
    "needs_permission",
    /login/,
  ],
  ["compaction", "pi", piPane([" go", "", " ⠋ Auto-compacting... (escape to cancel)"]), "busy", /^compaction/],
  [
    "compaction by hand",
    "pi",
    piPane([" go", "", " ⠋ Compacting context... (escape to cancel)"]),
    "busy",
    /^compaction/,
  ],
  ["a custom spinner", "pi", piPane([" go", "", " ⣾ Reading the map"]), "busy", /Reading/],
  ["an interrupted turn", "pi", piPane([" go", "", " Let me", "", " Operation aborted", ""]), "idle", /^interrupted/],
  [
    "a wrapped error",
    "pi",
    piPane([" go", "", " Error: 400 the balance of this account is far too low", " for what you ask"]),
    "idle",
    /^Error: 400/,
  ],
];

test.each([...CLAUDE, ...CODEX, ...GEMINI, ...OPENCODE, ...PI])("%s (%s)", (_name, cli, screen, status, reason) => {
  const found = explainScreen(getAgentCli(cli), screen);
  expect(found).toMatchObject({ status });
  expect(found.reason).toMatch(reason);
  expect(found.evidence.join("")).not.toBe("");
});
