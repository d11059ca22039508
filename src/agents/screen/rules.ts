import type { Drawing, Layout, Region, Row, Screen, ScreenStatus } from "./screen.js";

/** A row of the region matches `line`. `last` and `first` narrow the region to its last or first non-empty rows. */
export interface LineTest {
  in: Region;
  line: RegExp;
  first?: number;
  last?: number;
}

/** What must hold for a rule. `cursor` is where the cursor is: on the composer's rows, elsewhere, or below all rows. */
export type Condition =
  | LineTest
  | { all: readonly Condition[] }
  | { any: readonly Condition[] }
  | { not: Condition }
  | { cursor: "composer" | "elsewhere" | "below" };

/**
 * One rule of a CLI. Rules are tried in order and the first match decides. In `reason`, `$line` is the first matching
 * row. Patterns must not nest repetitions, so that matching stays linear in the row.
 */
export interface ScreenRule {
  name: string;
  status: ScreenStatus;
  reason: string;
  when: Condition;
}

/** What the screens of several CLIs show, each in its own way. */
export const COMMON_RULES = {
  stopped: { status: "needs_input", reason: "stopped by Ctrl-Z: `mu agent kick` continues it" },
  login: { status: "needs_permission", reason: "asks for a login: $line" },
  question: { status: "needs_input", reason: "asks a question: $line" },
  permission: { status: "needs_permission", reason: "asks for permission: $line" },
  confirm: { status: "needs_permission", reason: "asks for a yes or no: $line" },
  menu: { status: "needs_input", reason: "a menu is open: $line" },
  "title-action": { status: "needs_permission", reason: "asks for an action: $line" },
  retry: { status: "busy", reason: "a retry is in progress: $line" },
  compaction: { status: "busy", reason: "compaction: $line" },
  spinner: { status: "busy", reason: "$line" },
  interruptible: { status: "busy", reason: "works: $line" },
  "title-spinner": { status: "busy", reason: "works: $line" },
  interrupted: { status: "idle", reason: "interrupted: $line" },
  error: { status: "idle", reason: "error: $line" },
  composer: { status: "idle", reason: "ready for a prompt" },
} as const;

/** The common rules of one CLI, named after it: `rulesOf("pi")("error", …)` is `pi.error`. */
export function rulesOf(cli: string) {
  return (kind: keyof typeof COMMON_RULES, when: Condition): ScreenRule => ({
    name: `${cli}.${kind}`,
    ...COMMON_RULES[kind],
    when,
  });
}

/**
 * Where the status comes from. `screen`: the rules. `shell`: idle while the shell itself is in the pane's foreground,
 * else busy with the program's name. `process`: idle while the program is alive, because a plain command has no turns.
 */
export type StatusReading =
  | ({ by: "screen"; rules: readonly ScreenRule[] } & Drawing)
  | { by: "shell" }
  | { by: "process" };

/** How to read the screen of one agent CLI. */
export interface ScreenReader {
  key: string;
  /** The cursor's column in the empty composer. */
  homeColumn(screen: Screen): number;
  /** What the empty composer says there; known by its words, since terminals show its colour in many ways. */
  placeholder?: RegExp;
  reading: StatusReading;
}

/** The matching rows (none for a pure negation), or undefined if the condition does not hold. */
export function matchCondition(condition: Condition, layout: Layout): Row[] | undefined {
  if ("in" in condition) return matchLine(condition, layout);
  if ("all" in condition) return matchAll(condition.all, layout);
  if ("any" in condition) return condition.any.map((one) => matchCondition(one, layout)).find(Boolean);
  if ("not" in condition) return matchCondition(condition.not, layout) ? undefined : [];
  return isCursorAt(condition.cursor, layout) ? [] : undefined;
}

function matchLine(test: LineTest, layout: Layout): Row[] | undefined {
  const region = layout.regions[test.in];
  const rows = region.slice(test.last === undefined ? 0 : -test.last).slice(0, test.first);
  const found = rows.filter((row) => test.line.test(row.text));
  return found.length > 0 ? found : undefined;
}

function matchAll(conditions: readonly Condition[], layout: Layout): Row[] | undefined {
  const found = conditions.map((condition) => matchCondition(condition, layout));
  return found.includes(undefined) ? undefined : found.flatMap((rows) => rows ?? []);
}

function isCursorAt(place: "composer" | "elsewhere" | "below", layout: Layout): boolean {
  if (place === "below") return layout.screen.cursorY > (layout.regions.screen.at(-1)?.index ?? -1);
  return holdsCursor(layout) === (place === "composer");
}

/** Whether the cursor is on the composer's rows. */
export function holdsCursor({ composer, screen }: Layout): boolean {
  return composer !== undefined && screen.cursorY >= composer.top && screen.cursorY <= composer.bottom;
}
