import fc from "fast-check";
import { expect, test } from "vitest";
import type { AgentCliKey } from "../../src/agents/clis/cli.js";
import { getAgentCli } from "../../src/agents/clis/table.js";
import { type FeedEvent, foldFeed } from "../../src/agents/feed.js";
import type { Json } from "../../src/agents/json.js";
import type { SpoolEvent } from "../../src/agents/spool.js";
import { claudeFeed, codexFeed, opencodeFeed, piFeed } from "./feeds.js";

/** One word per event, with what tells it from its like. */
function words(events: readonly FeedEvent[]): string[] {
  return events.map(({ kind, detail }) => (detail === undefined ? kind : `${kind}:${detail}`));
}

function fold(cli: AgentCliKey, ...events: [name: string, payload?: Json][]): string[] {
  const raw = events.map(([event, payload = {}], n): SpoolEvent => ({ at: 1_000_000 + n * 1000, event, payload }));
  return words(foldFeed(getAgentCli(cli), raw));
}

const s = { session_id: "s1", prompt_id: "p1" };
const bash = { ...s, tool_name: "Bash", tool_input: { command: "make" } };

test("Claude's reminder of a dialog still names the command that it is about", () => {
  const raw = [
    { at: 1_000_000, event: "PermissionRequest", payload: bash },
    {
      at: 1_006_000,
      event: "Notification",
      payload: { ...s, notification_type: "permission_prompt", message: "Claude needs your permission" },
    },
  ];
  expect(foldFeed(getAgentCli("claude"), raw).map(({ kind, text }) => [kind, text])).toEqual([
    ["permission", "make"],
    ["permission", "make"],
  ]);
});

test("a real session of Claude Code reads as what happened in it", () => {
  expect(words(foldFeed(getAgentCli("claude"), claudeFeed("%13")))).toEqual([
    "session:startup",
    ...["prompt", "idle"],
    ...["prompt", "tool:Bash", "permission:Bash", "working:Bash", "idle"],
    ...["prompt", "tool:AskUserQuestion", "question:AskUserQuestion", "working:AskUserQuestion", "idle"],
    ...["prompt", "error:billing_error"],
    ...["prompt", "ended:other"],
  ]);
});

test("a real prompt into a running turn is queued, and the turn's Stop begins it", () => {
  const events = foldFeed(getAgentCli("claude"), claudeFeed("%2"));
  const at = events.findIndex((event) => event.text === "HELLO while busy");
  expect(words(events.slice(at - 1, at + 3))).toEqual(["prompt", "prompt:queued", "working:queued", "idle"]);
});

test("a real prompt behind an interrupted turn is not taken for a queued one", () => {
  const events = foldFeed(getAgentCli("claude"), claudeFeed("%2"));
  const at = events.findIndex((event) => event.text === "ERR500 please");
  expect(words(events.slice(at - 1, at + 3))).toEqual(["prompt", "prompt", "prompt", "error:billing_error"]);
});

test("the events carry what is needed to prove, resume and explain", () => {
  const events = foldFeed(getAgentCli("claude"), claudeFeed("%13"));
  expect(events[1]).toMatchObject({ text: "hello", event: "UserPromptSubmit", at: 1_795_230_625_668 });
  expect(events[1]?.sessionRef).toMatch(/^ae47ef04/);
  expect(events[1]?.promptId).toMatch(/^f6d14846/);
  expect(events.find((event) => event.kind === "permission")?.text).toBe("bash -c 'echo a > zz.txt; sleep 2'");
  expect(events.find((event) => event.kind === "question")?.text).toBe("Which database should I use?");
  expect(events.find((event) => event.kind === "error")?.text).toBe("Credit balance is too low");
});

test("a real session of pi with retries, a dialog and an abort reads as what happened in it", () => {
  const events = foldFeed(getAgentCli("pi"), piFeed("%1"));
  const from = (text: string, count: number): string[] => {
    const at = events.findLastIndex((event) => event.text === text);
    return words(events.slice(at, at + count));
  };
  const tried = ["error:may retry", "working:retry"];
  expect(from("ERR500 please", 9)).toEqual(["prompt", "working", ...tried, ...tried, ...tried, "error:may retry"]);
  expect(from("DROPPED please", 5)).toEqual(["prompt", "working", "error:may retry", "working:retry", "idle"]);
  const dialog = events.findIndex((event) => event.kind === "permission");
  expect(words(events.slice(dialog - 1, dialog + 3))).toEqual(["tool:bash", "permission", "working", "working:bash"]);
  expect(words(events)).toContain("idle:interrupted");
  expect(from("HELLO while busy", 2)).toEqual(["prompt:queued", "idle"]);
  expect(events[1]?.sessionRef).toMatch(/\.jsonl$/);
});

test("a real session of OpenCode reads as what happened in it", () => {
  expect(words(foldFeed(getAgentCli("opencode"), opencodeFeed())).filter((word) => word !== "working")).toEqual([
    ...["session", "permission:bash", "idle", "idle:interrupted"],
  ]);
});

test("Codex's own task titles are not taken for turns of the agent", () => {
  const events = foldFeed(getAgentCli("codex"), codexFeed("%3"));
  expect(words(events.slice(0, 4))).toEqual(["prompt", "idle", "prompt", "idle"]);
  expect(events.map((event) => event.text)).toEqual(expect.arrayContaining(["hello there", "SLOWTEXT please"]));
  expect(new Set(events.map((event) => event.sessionRef)).size).toBe(1);
});

test.each<[string, AgentCliKey, [string, Json?][], string[]]>([
  [
    "a subagent at work does not revive an idle pane",
    "claude",
    [
      ["UserPromptSubmit", s],
      ["Stop", s],
      ["PreToolUse", { ...bash, agent_id: "a" }],
      ["PostToolUse", { ...bash, agent_id: "a" }],
      ["Stop", { ...s, agent_id: "a" }],
      ["SubagentStop", { ...s, agent_id: "a" }],
    ],
    ["prompt", "idle"],
  ],
  [
    "a subagent's dialog is a dialog, and after it the pane is what it was",
    "claude",
    [
      ["UserPromptSubmit", s],
      ["Stop", s],
      ["PermissionRequest", { ...bash, agent_id: "a" }],
      ["PostToolUse", { ...bash, agent_id: "a" }],
    ],
    ["prompt", "idle", "permission:Bash", "idle:Bash"],
  ],
  [
    "a subagent inside a turn is the turn's work",
    "claude",
    [
      ["UserPromptSubmit", s],
      ["PreToolUse", { ...bash, agent_id: "a" }],
      ["PostToolUse", { ...bash, agent_id: "a" }],
    ],
    ["prompt", "tool:Bash", "working:Bash"],
  ],
  [
    "the reminder of a question is a question, 6 s later",
    "claude",
    [
      ["PermissionRequest", { ...s, tool_name: "AskUserQuestion" }],
      ["Notification", { ...s, notification_type: "permission_prompt", message: "Claude needs you" }],
      ["Notification", { ...s, notification_type: "auth_success" }],
    ],
    ["question:AskUserQuestion", "question"],
  ],
  [
    "an idle reminder ends a turn that Esc broke off",
    "claude",
    [
      ["UserPromptSubmit", s],
      ["Notification", { ...s, notification_type: "idle_prompt" }],
      ["UserPromptSubmit", s],
    ],
    ["prompt", "idle", "prompt"],
  ],
  [
    "a tool that was interrupted ends the turn",
    "claude",
    [
      ["PreToolUse", bash],
      ["PostToolUseFailure", { ...bash, is_interrupt: true }],
    ],
    ["tool:Bash", "idle:interrupted"],
  ],
  [
    "compaction inside a turn goes on with the turn, by hand it ends idle",
    "claude",
    [
      ["UserPromptSubmit", s],
      ["PreCompact", { ...s, trigger: "auto" }],
      ["SessionStart", { ...s, source: "compact" }],
      ["PostCompact", { ...s, trigger: "auto" }],
      ["Stop", s],
      ["PreCompact", { ...s, trigger: "manual" }],
      ["PostCompact", { ...s, trigger: "manual" }],
    ],
    [
      "prompt",
      "compacting:auto",
      "working:compacted",
      "working:compacted",
      "idle",
      "compacting:manual",
      "idle:compacted",
    ],
  ],
  [
    "a cleared conversation does not end the agent",
    "claude",
    [
      ["SessionEnd", { ...s, reason: "clear" }],
      ["SessionStart", { session_id: "s2", source: "clear" }],
      ["SessionEnd", { session_id: "s2", reason: "prompt_input_exit" }],
    ],
    ["session:clear", "ended:prompt_input_exit"],
  ],
  [
    "a `claude -p` inside a tool is not the agent",
    "claude",
    [
      ["SessionStart", { ...s, source: "startup" }],
      ["PreToolUse", bash],
      ["SessionStart", { session_id: "guest", source: "startup" }],
      ["UserPromptSubmit", { session_id: "guest", prompt: "x" }],
      ["Stop", { session_id: "guest" }],
      ["SessionEnd", { session_id: "guest", reason: "other" }],
      ["PostToolUse", bash],
    ],
    ["session:startup", "tool:Bash", "working:Bash"],
  ],
  [
    "a claude that was started anew in the pane becomes the agent with its second prompt",
    "claude",
    [
      ["PreToolUse", bash],
      ["SessionStart", { session_id: "new", source: "startup" }],
      ["UserPromptSubmit", { session_id: "new", prompt: "x" }],
      ["Stop", { session_id: "new" }],
      ["UserPromptSubmit", { session_id: "new", prompt: "y" }],
      ["Stop", { session_id: "new" }],
    ],
    ["tool:Bash", "prompt", "idle"],
  ],
  [
    "a delivery that was pulled at the end of a turn is a prompt",
    "claude",
    [
      ["Stop", s],
      ["mu.delivered", { text: "next" }],
      ["PreToolUse", { ...bash, agent_id: "a" }],
    ],
    ["idle", "prompt", "tool:Bash"],
  ],
  [
    "events that nobody knows are passed over",
    "claude",
    [
      ["WorktreeCreate", s],
      ["Stop", s],
    ],
    ["idle"],
  ],
  [
    "pi's last error is final once pi has settled, and a prompt begins anew",
    "pi",
    [
      ["agent_start"],
      ["agent_end", { stop: "error", error: "429" }],
      ["agent_settled"],
      ["input", { text: "go" }],
      ["agent_start"],
      ["agent_end", { stop: "stop" }],
      ["agent_settled"],
    ],
    ["working", "error:may retry", "error", "prompt", "working", "idle", "idle"],
  ],
  [
    "pi compacts between turns and inside one",
    "pi",
    [
      ["session_before_compact", { reason: "manual" }],
      ["session_compact", { reason: "manual" }],
      ["session_before_compact", { reason: "overflow" }],
      ["session_compact", { reason: "overflow", willRetry: true }],
    ],
    ["compacting:manual", "idle:compacted", "compacting:overflow", "working:compacted"],
  ],
  [
    "pi's dialogs are told apart where pi reports them",
    "pi",
    [
      ["agent_start"],
      ["ui_prompt_start", { kind: "confirm", title: "Dangerous" }],
      ["ui_prompt_end"],
      ["ui_prompt_start", { kind: "select", title: "Which?" }],
      ["ui_prompt_end"],
    ],
    ["working", "permission", "working", "question", "working"],
  ],
  [
    "another conversation of pi does not end the agent",
    "pi",
    [
      ["session_shutdown", { reason: "new" }],
      ["session_start", { reason: "new" }],
      ["session_shutdown", { reason: "quit" }],
    ],
    ["session:new", "ended:quit"],
  ],
  [
    "an OpenCode subagent's session is not the pane's",
    "opencode",
    [
      ["session.status", { sessionID: "s", status: { type: "busy" } }],
      ["session.created", { info: { id: "c", parentID: "s" } }],
      ["session.status", { sessionID: "c", status: { type: "busy" } }],
      ["session.idle", { sessionID: "c" }],
      ["permission.asked", { sessionID: "c", permission: "bash" }],
      ["permission.replied", { sessionID: "c" }],
      ["session.idle", { sessionID: "s" }],
    ],
    ["working", "permission:bash", "working", "idle"],
  ],
  [
    "an OpenCode error is not hidden by the idle behind it, and a retry is work",
    "opencode",
    [
      ["session.status", { sessionID: "s", status: { type: "retry", attempt: 2, message: "overloaded" } }],
      ["session.error", { sessionID: "s", error: { name: "APIError", data: { message: "no credit" } } }],
      ["session.idle", { sessionID: "s" }],
    ],
    ["working:retry", "error:APIError"],
  ],
])("%s", (_story, cli, events, wanted) => {
  expect(fold(cli, ...events)).toEqual(wanted);
});

test("hooks that are installed twice report once", () => {
  const raw = claudeFeed("%13");
  const twice = raw.flatMap((event) => [event, { ...event, at: event.at + 3 }]);
  expect(words(foldFeed(getAgentCli("claude"), twice))).toEqual(words(foldFeed(getAgentCli("claude"), raw)));
});

test("the order of appending does not matter, the times do", () => {
  const raw = claudeFeed("%13");
  const swapped = fc.shuffledSubarray(raw, { minLength: raw.length });
  fc.assert(
    fc.property(
      swapped,
      (events) => void expect(foldFeed(getAgentCli("claude"), events)).toEqual(foldFeed(getAgentCli("claude"), raw)),
    ),
  );
});

test("CLIs without events give none", () => {
  expect(foldFeed(getAgentCli("gemini"), claudeFeed("%13"))).toEqual([]);
});

test("no payload makes a fold throw", () => {
  const names = [
    "SessionStart",
    "UserPromptSubmit",
    "PermissionRequest",
    "Stop",
    "agent_end",
    "session.status",
    "notify",
  ];
  const payload = fc.dictionary(
    fc.constantFrom(
      "session_id",
      "prompt_id",
      "prompt",
      "tool_input",
      "status",
      "info",
      "error",
      "input-messages",
      "type",
    ),
    fc.oneof(fc.jsonValue(), fc.constantFrom("agent-turn-complete", "compact")),
  );
  const raw = fc.record({ at: fc.nat(), event: fc.constantFrom(...names, "x"), payload });
  const clis = fc.constantFrom<AgentCliKey>("claude", "pi", "opencode", "codex");
  fc.assert(fc.property(clis, fc.array(raw), (cli, events) => void foldFeed(getAgentCli(cli), events)));
});
