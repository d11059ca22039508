import fc from "fast-check";
import { expect, test } from "vitest";
import type { AgentStatus } from "../../../src/agents/agent.js";
import { getAgentCli } from "../../../src/agents/clis/table.js";
import { type FeedEvent, type FeedKind, foldFeed } from "../../../src/agents/feed.js";
import { type Explanation, explainScreen } from "../../../src/agents/screen/verdict.js";
import { type FusedStatus, fuseStatus, type StatusEvidence } from "../../../src/agents/status/fuse.js";
import { claudeFeed, piFeed } from "../feeds.js";
import { claudeDialog, claudePane, pane, piPane } from "../screens.js";

/** Seconds before now, for readable stories. */
const NOW = 2_000_000_000_000;
const ago = (seconds: number): number => NOW - seconds * 1000;

const event = (kind: FeedKind, seconds: number, more: Partial<FeedEvent> = {}): FeedEvent => {
  return { at: ago(seconds), kind, event: kind, ...more };
};

const claude = getAgentCli("claude");
const SCREENS = {
  idle: explainScreen(claude, claudePane(["● Done."], "? for shortcuts")),
  busy: explainScreen(claude, claudePane(["❯ go", "✢ Grooving… (6s · ↓ 78 tokens)"], "esc to interrupt")),
  retry: explainScreen(claude, claudePane(["❯ go", "✻ 500 error · retrying… · attempt 4/10"], "esc to interrupt")),
  compaction: explainScreen(claude, claudePane(["❯ go", "✢ Compacting conversation… (6s)"], "esc to interrupt")),
  error: explainScreen(claude, claudePane(["❯ go", "  ⎿  API Error: 529 overloaded"], "? for shortcuts")),
  interrupted: explainScreen(claude, claudePane(["❯ go", "  ⎿  Interrupted · What next?"], "? for shortcuts")),
  permission: explainScreen(
    claude,
    claudeDialog([" Do you want to proceed?", " ❯ 1. Yes", " Esc to cancel · Tab to amend"]),
  ),
  question: explainScreen(claude, claudeDialog([" Which?", "Enter to select · ↑/↓ to navigate · Esc to cancel"])),
  unknown: explainScreen(claude, pane(["What is this?", "a thing of the future"], { command: "claude" })),
  blank: explainScreen(claude, pane([], { command: "claude" })),
  shell: explainScreen(claude, pane(["user@host:~$"], { command: "bash", cursorX: 13 })),
};

interface Story {
  feed?: FeedEvent[];
  screen?: keyof typeof SCREENS | undefined;
  /** Seconds since the screen last changed. */
  changed?: number | undefined;
  /** Seconds since the pane last printed anything. */
  printed?: number | undefined;
  more?: Partial<StatusEvidence>;
}

/** Without a screen in the story, one that is blank and has long been so. */
function evidenceOf({
  feed = [],
  screen,
  changed = screen ? 0 : 7200,
  printed = changed,
  more,
}: Story): StatusEvidence {
  return {
    ...{ feed, now: NOW, process: { alive: true, command: "claude", startedAt: ago(3600) } },
    ...{ verdict: SCREENS[screen ?? "blank"], screenChangedAt: ago(changed), printedAt: ago(printed) },
    ...more,
  };
}

type Wanted = Partial<Omit<FusedStatus, "reason">> & { reason?: RegExp };

const starting = { process: { alive: true, command: "claude", startedAt: ago(3) } };

test.each<[story: string, told: Story, wanted: Wanted]>([
  // what the agent itself says
  ["a prompt makes it busy", { feed: [event("prompt", 1)] }, { status: "busy", by: "hook", rule: "hook.prompt" }],
  ["a tool is named", { feed: [event("tool", 1, { detail: "Bash" })] }, { status: "busy", reason: /Bash/ }],
  ["the end of a turn makes it idle", { feed: [event("prompt", 9), event("idle", 1)] }, { status: "idle", by: "hook" }],
  [
    "the newest event counts, wherever it stands",
    { feed: [event("idle", 1), event("prompt", 9)] },
    { status: "idle", by: "hook" },
  ],
  [
    "a permission is not a question",
    { feed: [event("permission", 1, { text: "make", detail: "Bash" })] },
    { status: "needs_permission", reason: /make/ },
  ],
  [
    "a dialog that stands on the screen is told by the command that it is about",
    { feed: [event("permission", 2, { text: "make" })], screen: "permission", changed: 1 },
    { status: "needs_permission", reason: /: make$/ },
  ],
  [
    "a question is not a permission",
    { feed: [event("question", 1, { text: "Which?" })] },
    { status: "needs_input", reason: /Which/ },
  ],
  ["compaction is busy", { feed: [event("compacting", 1)] }, { status: "busy", reason: /compaction/ }],
  [
    "a final error is idle with its reason",
    { feed: [event("error", 1, { text: "Credit balance is too low" })] },
    { status: "idle", reason: /^error: Credit/ },
  ],
  [
    "an error that pi may retry is busy while it may",
    { feed: [event("error", 8, { text: "429", detail: "may retry" })] },
    { status: "busy", reason: /retry.*429/ },
  ],
  [
    "an error that was not retried in time is final",
    { feed: [event("error", 10, { text: "429", detail: "may retry" })] },
    { status: "idle", reason: /^error: 429/ },
  ],
  [
    "a session that ended is terminated",
    { feed: [event("ended", 1, { detail: "quit" })] },
    { status: "terminated", reason: /quit/ },
  ],
  [
    "the evidence quotes the event",
    { feed: [event("question", 1, { text: "fix it\nnow" })] },
    { evidence: [expect.stringMatching(/^question at 2033.*: fix it$/)] },
  ],

  // both agree
  [
    "both say busy: the screen adds that it is a retry",
    { feed: [event("prompt", 30)], screen: "retry", changed: 0.1 },
    { status: "busy", by: "hook", reason: /retry/ },
  ],
  [
    "both say busy: the screen adds that it is compaction",
    { feed: [event("working", 30)], screen: "compaction", changed: 0.1 },
    { status: "busy", reason: /compaction/ },
  ],
  [
    "both say idle: the error that the CLI reported stays the reason",
    { feed: [event("error", 5, { text: "billing" })], screen: "idle", changed: 1 },
    { status: "idle", by: "hook", reason: /billing/ },
  ],
  [
    "both say idle: an error on the screen is the reason",
    { feed: [event("idle", 5)], screen: "error", changed: 1 },
    { status: "idle", reason: /529/ },
  ],

  // they disagree
  [
    "a turn that just began is not idle because the screen is slow",
    { feed: [event("prompt", 0.3)], screen: "idle", changed: 0.1 },
    { status: "busy", by: "hook" },
  ],
  [
    "a turn that Esc broke off is idle: no hook said so, the screen does",
    { feed: [event("prompt", 20)], screen: "interrupted", changed: 3 },
    { status: "idle", by: "screen", rule: "claude.interrupted", reason: /interrupted/ },
  ],
  [
    "Esc before the first word: the composer is all there is",
    { feed: [event("prompt", 5)], screen: "idle", changed: 3 },
    { status: "idle", by: "screen" },
  ],
  [
    "Esc within the same second as the prompt does not stay busy for ever",
    { feed: [event("prompt", 11)], screen: "idle", changed: 12 },
    { status: "idle", by: "screen" },
  ],
  [
    "Esc out of a permission dialog fires nothing either",
    { feed: [event("permission", 11)], screen: "idle", changed: 5 },
    { status: "idle", by: "screen" },
  ],
  [
    "an event newer than the screen's last change is right",
    { feed: [event("working", 4)], screen: "idle", changed: 6 },
    { status: "busy", by: "hook" },
  ],
  [
    "the end of a turn is right against a busy screen that stands still",
    { feed: [event("idle", 60)], screen: "busy", changed: 61 },
    { status: "idle", by: "hook" },
  ],
  [
    "work that goes on behind the end of a turn is seen on the screen",
    { feed: [event("idle", 5)], screen: "busy", changed: 0.1 },
    { status: "busy", by: "screen" },
  ],
  [
    "a dialog on the screen counts at once",
    { feed: [event("tool", 0.5)], screen: "permission", changed: 0.2 },
    { status: "needs_permission", by: "screen" },
  ],
  [
    "a question on the screen is not a permission",
    { feed: [event("tool", 5)], screen: "question", changed: 2 },
    { status: "needs_input", by: "screen" },
  ],
  [
    "a permission that was just asked for is right before it is drawn",
    { feed: [event("permission", 0.2)], screen: "busy", changed: 0.1 },
    { status: "needs_permission", by: "hook" },
  ],
  [
    "a permission that was given is work again",
    { feed: [event("permission", 9)], screen: "busy", changed: 0.1 },
    { status: "busy", by: "screen" },
  ],
  [
    "a retry on the screen is right about an older error",
    { feed: [event("error", 9, { text: "500" })], screen: "retry", changed: 0.1 },
    { status: "busy", by: "screen", reason: /retry/ },
  ],
  [
    "a shell in the CLI's place is its end, whatever the CLI said last",
    { feed: [event("working", 2)], screen: "shell", changed: 1 },
    { status: "terminated", by: "screen", rule: "shell" },
  ],
  [
    "a spinner in the title goes on after an end that was reported late",
    { feed: [event("idle", 3)], screen: "busy", changed: 5, printed: 0.1 },
    { status: "busy", by: "screen" },
  ],
  [
    "a screen that no rule knows is no reason to doubt the agent's word",
    { feed: [event("working", 60)], screen: "unknown", changed: 1 },
    { status: "busy", by: "hook" },
  ],
  [
    "an unknown screen behind a session's start may be a dialog",
    { feed: [event("session", 5)], screen: "unknown", changed: 1 },
    { status: "needs_input", by: "screen", rule: "unrecognised" },
  ],
  [
    "a screen whose last change is not known is a screen of now",
    { feed: [event("prompt", 5)], screen: "idle" },
    { status: "idle", by: "screen" },
  ],

  // only the screen
  ["without events the screen says it", { screen: "busy", changed: 1 }, { status: "busy", by: "screen" }],
  [
    "events from before the program started are another program's",
    { feed: [event("working", 60)], screen: "idle", changed: 1, more: starting },
    { status: "idle", by: "screen" },
  ],

  // spawning
  [
    "a program that shows nothing yet is spawning",
    { screen: "blank", more: starting },
    { status: "spawning", by: "process" },
  ],
  [
    "a session that began behind a blank screen is not ready yet",
    { feed: [event("session", 0.2)], screen: "blank", more: starting },
    { status: "spawning" },
  ],
  [
    "a dialog at the start is asked at once",
    { screen: "permission", more: starting },
    { status: "needs_permission", by: "screen" },
  ],
  [
    "a screen that no rule knows is half drawn while the program starts",
    { screen: "unknown", changed: 1, more: starting },
    { status: "spawning", by: "process" },
  ],
  [
    "a screen that no rule knows and that stays is asked about",
    { screen: "unknown", changed: 5, more: { process: { ...starting.process, startedAt: ago(9) } } },
    { status: "needs_input", by: "screen", rule: "unrecognised" },
  ],
  [
    "a program that shows nothing for a minute is not spawning",
    { screen: "blank" },
    { status: "busy", by: "screen", rule: "blank" },
  ],
  [
    "an agent that was at work does not spawn again",
    { screen: "blank", more: { ...starting, previous: { status: "busy", at: ago(1) } } },
    { status: "busy" },
  ],

  // the process
  [
    "a dead program is terminated",
    { feed: [event("working", 1)], screen: "busy", more: { process: { ...starting.process, alive: false } } },
    { status: "terminated", by: "process", rule: "process.dead" },
  ],
  // a person's mark
  [
    "an idle agent that a person marked is free",
    {
      feed: [event("idle", 90)],
      screen: "idle",
      changed: 80,
      more: { previous: { status: "free", at: ago(9) } },
    },
    { status: "free", by: "person" },
  ],
  [
    "a free agent stays free",
    { screen: "idle", changed: 80, more: { previous: { status: "free", at: ago(9) } } },
    { status: "free", by: "person" },
  ],
  [
    "a marked agent that works is busy",
    { screen: "busy", changed: 1, more: { previous: { status: "free", at: ago(9) } } },
    { status: "busy" },
  ],
  [
    "work takes the mark away",
    {
      feed: [event("prompt", 5), event("idle", 2)],
      screen: "idle",
      changed: 1,
      more: { previous: { status: "free", at: ago(9) } },
    },
    { status: "idle", by: "hook" },
  ],
])("%s", (_story, told, wanted) => {
  const fused = fuseStatus(evidenceOf(told));
  const { reason, ...rest } = wanted;
  expect(fused).toMatchObject(rest);
  expect(fused.reason).toMatch(reason ?? /./);
});

const seconds = fc.integer({ min: 0, max: 7200 }).map((tenths) => tenths / 10);
const KINDS: FeedKind[] = [
  ...(["session", "prompt", "working", "tool", "permission"] as const),
  ...(["question", "idle", "error", "compacting", "ended"] as const),
];
const anyEvent = fc
  .tuple(
    fc.constantFrom(...KINDS),
    seconds,
    fc.option(fc.constantFrom("may retry", "retry", "queued", "Bash"), { nil: undefined }),
  )
  .map(([kind, before, detail]) => event(kind, before, detail === undefined ? {} : { detail }));
const anyScreen = fc.option(fc.constantFrom(...(Object.keys(SCREENS) as (keyof typeof SCREENS)[])), { nil: undefined });
const STATUSES: AgentStatus[] = ["spawning", "busy", "needs_input", "needs_permission", "idle", "free", "unreachable"];
const anyPrevious = fc.option(fc.record({ status: fc.constantFrom(...STATUSES), at: seconds.map(ago) }), {
  nil: undefined,
});
const anyStory = fc.record({
  feed: fc.array(anyEvent, { maxLength: 6 }),
  screen: anyScreen,
  changed: fc.option(seconds, { nil: undefined }),
  more: anyPrevious.map((previous) => ({ previous })),
});
test("a dead program is terminated, whatever else is said", () => {
  fc.assert(
    fc.property(anyStory, (story) => {
      const fused = fuseStatus({ ...evidenceOf(story), process: { ...starting.process, alive: false } });
      expect(fused).toMatchObject({ status: "terminated", by: "process" });
    }),
  );
});

test("a status always names its authority and its rule", () => {
  fc.assert(
    fc.property(anyStory, (story) => {
      const fused = fuseStatus(evidenceOf(story));
      expect(fused.reason).not.toBe("");
      expect(fused.rule).not.toBe("");
      if (fused.by === "screen") expect(fused.rule).toBe(SCREENS[story.screen ?? "blank"].rule);
      if (fused.by === "person") expect(fused.status).toBe("free");
    }),
  );
});

test("among events alone the newest decides", () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 6 }), anyEvent, (older, newest) => {
      const before = older.filter((one) => one.at < newest.at);
      expect(fuseStatus(evidenceOf({ feed: [...before, newest] }))).toEqual(fuseStatus(evidenceOf({ feed: [newest] })));
    }),
  );
});

test("a screen that is right stays right when it changed later", () => {
  fc.assert(
    fc.property(anyStory, seconds, seconds, (story, one, other) => {
      const [later, earlier] = [Math.min(one, other), Math.max(one, other)];
      const first = fuseStatus(evidenceOf({ ...story, changed: earlier }));
      if (first.by === "screen") expect(fuseStatus(evidenceOf({ ...story, changed: later })).status).toBe(first.status);
    }),
  );
});

test("an event that is right stays right when it is newer", () => {
  fc.assert(
    fc.property(anyStory, anyEvent, seconds, (story, newest, later) => {
      const feed = (at: number) => [{ ...newest, at }];
      const first = fuseStatus(evidenceOf({ ...story, feed: feed(newest.at), more: {} }));
      const at = Math.max(newest.at, ago(later));
      if (first.by === "hook" && newest.kind !== "error") {
        expect(fuseStatus(evidenceOf({ ...story, feed: feed(at), more: {} })).status).toBe(first.status);
      }
    }),
  );
});

test("no agent stays busy in front of an idle screen", () => {
  const busy = fc.constantFrom<FeedKind>("prompt", "working", "tool", "compacting", "permission", "question");
  const long = fc.double({ min: 10, max: 7200, noNaN: true });
  fc.assert(
    fc.property(busy, long, long, seconds, (kind, before, printed, changed) => {
      const fused = fuseStatus(evidenceOf({ feed: [event(kind, before)], screen: "idle", changed, printed }));
      expect(fused.status).toBe("idle");
    }),
  );
});

test("a screen that looks idle for the whole turn does not end it while the pane prints", () => {
  const events = fc.constantFrom<FeedKind>("prompt", "working", "tool");
  const before = fc.double({ min: 0, max: 3600, noNaN: true });
  const recently = fc.double({ min: 0, max: 9.9, noNaN: true });
  fc.assert(
    fc.property(events, before, recently, (kind, ago, printed) => {
      const story: Story = { feed: [event(kind, ago)], screen: "idle", changed: ago + 1, printed };
      expect(fuseStatus(evidenceOf(story)).status).toBe("busy");
    }),
  );
});

/** Replays a recorded feed and asks for the status at a moment of it. */
function statusAt(command: "claude" | "pi", feed: FeedEvent[], now: number, verdict?: Explanation) {
  const seen = feed.filter((one) => one.at <= now);
  const screen = verdict
    ? { verdict, screenChangedAt: now, printedAt: now }
    : { verdict: SCREENS.unknown, screenChangedAt: 0, printedAt: 0 };
  return fuseStatus({ feed: seen, ...screen, process: { alive: true, command, startedAt: 0 }, now });
}

test("a real Claude session gives the right status at every moment", () => {
  const feed = foldFeed(getAgentCli("claude"), claudeFeed("%13"));
  const at = (time: number) => statusAt("claude", feed, 1_795_230_000_000 + time);
  expect(at(622_500).status).toBe("idle");
  expect(at(626_000).status).toBe("busy");
  expect(at(628_000).status).toBe("idle");
  expect(at(633_000)).toMatchObject({ status: "needs_permission", reason: expect.stringContaining("echo a > zz.txt") });
  expect(at(637_000).status).toBe("busy");
  expect(at(643_000)).toMatchObject({ status: "needs_input", reason: expect.stringContaining("database") });
  expect(at(651_000)).toMatchObject({ status: "idle", reason: "error: Credit balance is too low" });
  expect(at(660_000).status).toBe("busy");
  expect(statusAt("claude", feed, 1_795_230_660_000, SCREENS.interrupted).status).toBe("idle");
});

test("a real pi session is busy through its retries and idle after the last", () => {
  const feed = foldFeed(getAgentCli("pi"), piFeed("%1"));
  const pi = getAgentCli("pi");
  const at = (time: number) => statusAt("pi", feed, 1_795_229_000_000 + time);
  for (const time of [429_000, 435_000, 437_000, 444_000, 455_000, 461_000]) expect(at(time).status).toBe("busy");
  expect(at(435_500).reason).toMatch(/retry.*500 Internal error/);
  const failed = explainScreen(pi, piPane(["", " Error: Retry failed after 3 attempts: 500 Internal error (fake)"]));
  expect(statusAt("pi", feed, 1_795_229_209_940 + 2000, failed)).toMatchObject({ status: "idle" });
  expect(statusAt("pi", feed, 1_795_229_209_940 + 20_000)).toMatchObject({ status: "idle", reason: /^error: 429/ });
});
