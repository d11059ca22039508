import { holdsDraft } from "./draft.js";
import { hasEnded, isShell, lastWords } from "./ended.js";
import { type Drawing, type Layout, layOut } from "./layout.js";
import { matchCondition, type ScreenReader, type ScreenRule } from "./rule.js";
import type { Row, Screen, ScreenStatus } from "./screen.js";

/** A status with its grounds: the rule of the CLI's table that decided and the rows it decided on. */
export interface Explanation {
  status: ScreenStatus;
  reason: string;
  rule: string;
  evidence: string[];
  /** The composer holds a half-typed text: a prompt sent now would be glued to it. */
  draft: boolean;
}

/**
 * Reads an agent's status from its screen. Never throws; a screen that no rule knows is `needs_input` (rule
 * `unrecognised`), since a person who looks costs less than a dialog that nobody sees.
 */
export function explainScreen(cli: ScreenReader, screen: Screen): Explanation {
  if (hasEnded(screen)) {
    const { reason, evidence } = lastWords(screen);
    return explain(screen, { status: "terminated", reason, rule: "ended" }, evidence);
  }
  if (cli.reading.by === "screen") return readScreen(cli, cli.reading, screen);
  return readProcess(cli.reading.by, screen);
}

type Verdict = Pick<Explanation, "status" | "reason" | "rule">;

function readScreen(
  cli: ScreenReader,
  reading: Drawing & { rules: readonly ScreenRule[] },
  screen: Screen,
): Explanation {
  const layout = layOut(reading, screen);
  const draft = holdsDraft(layout, cli.homeColumn(screen));
  if (fellBackToShell(screen, layout)) {
    const reason = `${cli.key} is gone: ${screen.command} has the pane`;
    return explain(screen, { status: "terminated", reason, rule: "shell" }, layout.regions.screen.slice(-2));
  }
  for (const rule of reading.rules) {
    const rows = matchCondition(rule.when, layout);
    if (!rows) continue;
    const reason = rule.reason.replace("$line", () => clean(rows[0]?.text ?? ""));
    return { ...explain(screen, { status: rule.status, reason, rule: rule.name }, rows), draft };
  }
  return { ...unrecognised(screen, layout), draft };
}

/** A shell in front is a fact only when the CLI's input box is not where the cursor is: launch scripts are shells too. */
function fellBackToShell(screen: Screen, layout: Layout): boolean {
  if (!isShell(screen.command)) return false;
  if (layout.composer) return screen.cursorY > layout.composer.bottom;
  const last = layout.regions.screen.at(-1);
  return last !== undefined && /[$#%>❯➜»λ✗]\s*$/.test(last.text) && screen.cursorY >= last.index;
}

function unrecognised(screen: Screen, layout: Layout): Explanation {
  const rows = layout.regions.screen;
  if (rows.length > 0) {
    const reason = "no rule knows this screen: look at the pane";
    return explain(screen, { status: "needs_input", reason, rule: "unrecognised" }, rows.slice(-3));
  }
  return explain(screen, { status: "busy", reason: "starting: nothing on the screen yet", rule: "blank" }, []);
}

/** A shell is idle when it is itself in front. A plain command has no turns: while it runs it takes input. */
function readProcess(by: "shell" | "process", screen: Screen): Explanation {
  const command = screen.command || "(unknown)";
  if (by === "process") {
    return explain(screen, { status: "idle", reason: `${command} runs and takes input`, rule: "process.alive" }, []);
  }
  if (isShell(screen.command)) {
    return explain(screen, { status: "idle", reason: `${command} waits for a command`, rule: "shell.front" }, []);
  }
  return explain(screen, { status: "busy", reason: command, rule: "shell.program" }, []);
}

function explain(screen: Screen, verdict: Verdict, rows: readonly Row[]): Explanation {
  const evidence = rows.slice(0, 8).map((row) => row.text.slice(0, 300));
  return { ...verdict, evidence: evidence.length > 0 ? evidence : [`command: ${screen.command}`], draft: false };
}

/** A row's words: without the glyphs and frames around them, and without what stands at the row's other end. */
function clean(text: string): string {
  const words = text.replace(/^[^\p{L}\p{N}[{"'/$(]+/u, "").split(/ {3,}/, 1)[0] ?? "";
  return words.replace(/[\s│┃]+$/u, "").slice(0, 200);
}
