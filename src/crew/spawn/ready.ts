import { stripVTControlCharacters } from "node:util";
import { getAgentCli } from "../../agents/clis/table.js";
import type { Crew } from "../../agents/crew.js";
import { isOwnPane } from "../../agents/own-pane.js";
import { type Explanation, explainScreen } from "../../agents/screen/explain.js";
import { pollUntil } from "../../clock.js";
import type { RowOf } from "../../db/write.js";
import type { Pane } from "../../tmux/panes.js";

/** What the wait for a CLI's first prompt found. */
export interface Readiness {
  /** False when the time was over before the CLI asked for anything. */
  ready: boolean;
  status: Explanation["status"] | "unreachable";
  reason: string;
  /** The screen rule that decided. */
  rule: string | null;
  waitedMs: number;
}

export interface ReadyOptions {
  /** 20,000 without it. */
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

const EVERY_MS = 100;
/** Real CLIs print a line or two and then load for seconds; a screen that no rule knows is believed after this long. */
const STRANGE_MS = 4_000;

/**
 * Waits until the agent's screen takes a prompt (`idle`) or asks a person something (`needs_input`,
 * `needs_permission`), or its program has ended (`terminated`, not ready). Faults `tmux.failed`.
 */
export async function waitReady(crew: Crew, row: RowOf<"agents">, options: ReadyOptions = {}): Promise<Readiness> {
  const { clock } = crew.context;
  const start = clock.now().getTime();
  let last: Explanation | undefined;
  let since = start;
  const once = async () => {
    const before = last;
    last = await lookAt(crew, row);
    if (before?.rule !== last.rule) since = clock.now().getTime();
    return isSettled(last, before, clock.now().getTime() - since) ? last : undefined;
  };
  const found = await pollUntil(clock, once, {
    everyMs: EVERY_MS,
    timeoutMs: options.timeoutMs ?? 20_000,
    ...(options.signal && { signal: options.signal }),
  });
  const seen = found ?? last;
  return {
    ready: found !== undefined && found.status !== "terminated",
    status: seen?.status ?? "unreachable",
    reason: seen?.reason ?? "nobody looked",
    rule: seen?.rule ?? null,
    waitedMs: clock.now().getTime() - start,
  };
}

/** A screen that is half drawn may look like a question, so anything but a composer has to stay for two looks. */
function isSettled(now: Explanation, before: Explanation | undefined, sinceMs: number): boolean {
  if (now.status === "busy") return false;
  if (now.rule === "unrecognised") return sinceMs >= STRANGE_MS;
  return now.status === "idle" || now.status === "terminated" || before?.rule === now.rule;
}

async function lookAt(crew: Crew, row: RowOf<"agents">): Promise<Explanation> {
  const pane = (await crew.tmux.listPanes()).find((one) => isOwnPane(row, one));
  if (pane === undefined) return gone(row);
  const cli = getAgentCli(row.cli);
  const needsScreen = cli.reading.by === "screen" || pane.dead;
  const captured = needsScreen
    ? (await crew.tmux.captureScreens([pane.id], { escapes: true })).get(pane.id)
    : undefined;
  const ansi = captured?.lines.join("\n") ?? "";
  const { title, cursorX, cursorY } = captured ?? pane;
  return explainScreen(cli, { ...factsOf(pane), text: stripVTControlCharacters(ansi), ansi, title, cursorX, cursorY });
}

function factsOf({ command, width, height, dead }: Pane) {
  return { command, width, height, dead };
}

function gone(row: RowOf<"agents">): Explanation {
  const reason = `pane ${row.pane} is gone`;
  return { status: "terminated", reason, rule: "gone", evidence: [], draft: false };
}
