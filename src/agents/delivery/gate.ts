import type { Exec } from "../../exec.js";
import type { AgentCli } from "../clis/cli.js";
import { layOut } from "../screen/layout.js";
import { type Screen, screenRows } from "../screen/screen.js";
import type { Look } from "../status/look.js";

/** Whether a text may be typed into a pane now. `wait`: not yet; `refuse`: not at all, unless somebody acts. */
export type Gate = { may: "type" } | { may: "wait"; why: string } | { may: "refuse"; obstacle: Obstacle; why: string };

export type Obstacle = "dialog" | "draft" | "stranger" | "shell" | "dead" | "long_line";

/** What goes away by itself: such an obstacle refuses a new prompt, but one that waits already goes on waiting. */
export const PASSING: ReadonlySet<Obstacle> = new Set(["dialog", "draft"]);

/** The line that a terminal in canonical mode takes, its line feed left out: longer ones lose their end and the Enter. */
const CANONICAL_LINE = process.platform === "linux" ? 4095 : 1023;

/** A text is typed only where an empty composer is positively seen, or a program that takes lines. */
export function judgeLook(cli: AgentCli, { verdict, screen }: Look): Gate {
  const refuse = (obstacle: Obstacle, why: string): Gate => ({ may: "refuse", obstacle, why });
  if (verdict.status === "terminated") {
    return refuse(verdict.rule === "shell" ? "shell" : "dead", verdict.reason);
  }
  if (verdict.rule === "unrecognised") return { may: "wait", why: "its screen is not one that mu knows" };
  if (verdict.status === "busy") return { may: "wait", why: `it is busy: ${verdict.reason}` };
  if (verdict.status !== "idle") return refuse("dialog", verdict.reason);
  if (cli.reading.by === "shell" && isHalfTyped(screen))
    return refuse("draft", "a half-typed line stands at the prompt");
  if (cli.reading.by !== "screen") return { may: "type" };
  if (verdict.draft) return refuse("draft", "a half-typed text stands in the composer");
  if (layOut(cli.reading, screen).composer === undefined)
    return { may: "wait", why: "its composer is not on the screen" };
  return { may: "type" };
}

const PROMPT_END = /[$#%>❯➜»λ✗:]\s*$/;
const TYPED_AFTER_PROMPT = /[$#%❯➜»λ] \S(?:.*\S)?$/;

/** What stands left of the cursor, behind something like a prompt, and does not end like one. */
function isHalfTyped(screen: Screen): boolean {
  const row = screenRows(screen)[screen.cursorY]?.text ?? "";
  const left = row.slice(0, screen.cursorX).padEnd(screen.cursorX);
  return !PROMPT_END.test(left) && TYPED_AFTER_PROMPT.test(left);
}

/** Refuses a line that the pane's terminal would cut: only a terminal in canonical mode has such a limit. */
export async function judgeLines(exec: Exec, tty: string, text: string): Promise<Gate> {
  const longest = Math.max(...text.split("\n").map((line) => Buffer.byteLength(line)));
  if (longest <= CANONICAL_LINE) return { may: "type" };
  const flag = process.platform === "linux" ? "-F" : "-f";
  const { stdout } = await exec("stty", [flag, tty, "-a"], { timeoutMs: 5_000 });
  if (!/(?:^|\s)icanon\b/m.test(stdout)) return { may: "type" };
  const why = `a line of ${longest} bytes; the program in the pane takes ${CANONICAL_LINE} at most`;
  return { may: "refuse", obstacle: "long_line", why };
}
