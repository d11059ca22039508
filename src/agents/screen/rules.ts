import type { Drawing, Layout, Region, Row, Screen, ScreenStatus } from "./screen.js";

/** Some row of a region fits `line`. `last` and `first` narrow the region to its outermost non-empty rows. */
export interface LineTest {
  in: Region;
  line: RegExp;
  first?: number;
  last?: number;
}

/** What must hold for a rule. `cursor` is where the cursor is: on the composer's rows or elsewhere. */
export type Condition =
  | LineTest
  | { all: readonly Condition[] }
  | { any: readonly Condition[] }
  | { not: Condition }
  | { cursor: "composer" | "elsewhere" };

/**
 * One line of a CLI's table, tried in order of priority; the first that holds decides. In `reason`, `$line` stands
 * for the first row that made the rule hold. No pattern may repeat a repetition: all rules are linear in the row.
 */
export interface ScreenRule {
  name: string;
  status: ScreenStatus;
  reason: string;
  when: Condition;
}

/**
 * Where the status comes from: the screen, by rules in order of priority; `shell`: idle while the shell itself is in
 * the pane's foreground, else busy with the program's name; `process`: idle while the program lives, because a plain
 * command has no turns that could be told apart.
 */
export type StatusReading =
  | ({ by: "screen"; rules: readonly ScreenRule[] } & Drawing)
  | { by: "shell" }
  | { by: "process" };

/** What is known about the screen of one agent CLI. */
export interface ScreenReader {
  key: string;
  /** The cursor's column in the empty composer. */
  homeColumn(screen: Screen): number;
  reading: StatusReading;
}

/** The rows that make the condition hold (none for a pure negation), or undefined when it does not hold. */
export function matchCondition(condition: Condition, layout: Layout): Row[] | undefined {
  if ("in" in condition) return matchLine(condition, layout);
  if ("all" in condition) return matchAll(condition.all, layout);
  if ("any" in condition) return matchAny(condition.any, layout);
  if ("not" in condition) return matchCondition(condition.not, layout) ? undefined : [];
  return cursorPlace(layout) === condition.cursor ? [] : undefined;
}

function matchLine(test: LineTest, layout: Layout): Row[] | undefined {
  const region = layout.regions[test.in];
  const rows = region.slice(test.last === undefined ? 0 : -test.last).slice(0, test.first);
  const found = rows.filter((row) => test.line.test(row.text));
  return found.length > 0 ? found : undefined;
}

function matchAll(conditions: readonly Condition[], layout: Layout): Row[] | undefined {
  const evidence: Row[] = [];
  for (const condition of conditions) {
    const rows = matchCondition(condition, layout);
    if (!rows) return undefined;
    evidence.push(...rows);
  }
  return evidence;
}

function matchAny(conditions: readonly Condition[], layout: Layout): Row[] | undefined {
  for (const condition of conditions) {
    const rows = matchCondition(condition, layout);
    if (rows) return rows;
  }
  return undefined;
}

function cursorPlace({ composer, screen }: Layout): "composer" | "elsewhere" {
  return composer && screen.cursorY >= composer.top && screen.cursorY <= composer.bottom ? "composer" : "elsewhere";
}
