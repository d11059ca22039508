import { pollUntil } from "../../clock.js";
import type { RowOf } from "../../db/write.js";
import { Fault } from "../../errors.js";
import type { Exec } from "../../exec.js";
import type { AgentCli } from "../clis/cli.js";
import { AGENT_CLIS, getAgentCli } from "../clis/table.js";
import type { TmuxHost } from "../crew.js";
import { viewAgent } from "../occupant.js";
import { identityOf, locate } from "../pane.js";
import { judgePromptLine, promptLine } from "../screen/prompt-line.js";
import { layOut } from "../screen/screen.js";
import { isDialog, isStoppedBy, type PaneView, readForeign } from "../screen/verdict.js";
import { reportDelivery, spoolPath } from "../spool.js";
import { knownPrompt, rememberPrompt } from "../status/record.js";
import { change, type DeliveryRow, deliveryRow, firstPending, guardText, isAbandoned, reserve } from "./outbox.js";
import { findEvidence, isUnread, proveByScreen, takeBaseline } from "./proof.js";

/** An obstacle must still be there after this long (ms): another sender's text looks like a draft for a moment. */
const RECHECK_MS = 250;

/**
 * Types the first delivery of the agent's outbox, if the pane is ready for it, and gives the row when it is settled.
 * What another process is typing is left to it, until it must have been interrupted. `fresh` is the sender's own new
 * delivery: a dialog or a draft refuses it, while older ones keep waiting, those of a dead incarnation for its successor.
 */
export async function deliverNext(
  host: TmuxHost,
  agent: RowOf<"agents">,
  fresh?: number,
): Promise<DeliveryRow | undefined> {
  const { db } = host.context.store;
  const row = await firstPending(db, agent.id);
  if (row === undefined) return undefined;
  if (row.state === "pasted")
    return isAbandoned(row, host.context.clock.now()) ? resolveInterrupted(host, agent, row) : undefined;
  if (agent.closed_at !== null && fresh === undefined) return undefined;
  const seen = await checkPane(host, agent, row);
  if (seen.may === "wait") return undefined;
  if (seen.may === "type") return type(host, agent, row, seen);
  if (!TRANSIENT.has(seen.obstacle)) return refuse(host, row, seen);
  if (fresh === undefined) return undefined;

  await host.context.clock.sleep(RECHECK_MS);
  if ((await firstPending(db, agent.id))?.state === "pasted") return undefined;
  const again = await checkPane(host, agent, row);
  if (again.may !== "refuse") return undefined;
  return refuse(host, await deliveryRow(db, fresh), again);
}

type Ready = { may: "type"; look: PaneView & { cli: AgentCli } };
type PaneCheck = Exclude<Gate, { may: "type" }> | Ready;

/** Captures the agent's pane and decides whether the text may be typed. */
async function checkPane(host: TmuxHost, agent: RowOf<"agents">, row: DeliveryRow): Promise<PaneCheck> {
  if (agent.closed_at !== null) return { may: "refuse", obstacle: "dead", why: "the agent was closed" };
  const { panes, screens } = await host.tmux.survey({
    screens: agent.pane === null ? [] : [agent.pane],
    escapes: true,
  });
  const place = (await locate(host, [{ row: agent }], panes)).get(agent.id);
  if (place?.at === "gone") {
    return { may: "refuse", obstacle: place.lost === "taken" ? "stranger" : "dead", why: place.why };
  }
  if (place?.at !== "pane") return { may: "wait", why: place?.at === "elsewhere" ? place.why : "it has no pane yet" };
  const look = await viewAgent(host, agent, place.pane, screens.get(place.pane.id));
  if (look === undefined) return { may: "wait", why: `pane ${place.pane.id} is gone` };
  const isShell = look.cli.reading.by === "shell";
  const gate = judgeView(look.cli, look, isShell ? await knownPrompt(host.context.store.db, agent.id) : null);
  if (gate.may !== "type") return gate;
  if (isShell) await rememberPrompt(host.context, agent.id, promptLine(look.screen));
  if (place.pane.agentId === undefined) await host.tmux.setPaneIdentity(place.pane.id, identityOf(agent));
  const lines = await judgeLines(host.exec, place.pane.tty, row.text);
  return lines.may === "type" ? { may: "type", look } : lines;
}

async function type(
  host: TmuxHost,
  agent: RowOf<"agents">,
  row: DeliveryRow,
  { look: before }: Ready,
): Promise<DeliveryRow | undefined> {
  const { cli } = before;
  const baseline = await takeBaseline(host, agent, { cli, text: row.text, before });
  const reserved = await reserve(host.context, row, JSON.stringify(baseline));
  if (reserved === undefined) return undefined;
  const typed = await typeAndProve(host, { agent, cli, row: reserved, before });
  if (typed.as === "prove" && cli.proof.by === "composer" && cli.proof.early) {
    const at = Date.parse(reserved.pasted_at ?? reserved.created_at);
    await reportDelivery(spoolPath(host.stateDir, agent.id), { ...row, at });
  }
  const after = await change(host.context, row.id, typed.as, typed.why);
  return typed.as === "withdraw" ? undefined : after;
}

/** A delivery whose typing process died: what is on record decides, else it is unproved. Never typed again. */
async function resolveInterrupted(host: TmuxHost, agent: RowOf<"agents">, row: DeliveryRow): Promise<DeliveryRow> {
  const found = await findEvidence(host, { agent, cli: getAgentCli(agent.cli), row });
  if (found !== undefined) return change(host.context, row.id, found.as, found.why);
  return change(host.context, row.id, "doubt", "its sender was interrupted while typing");
}

function refuse(host: TmuxHost, row: DeliveryRow, { obstacle, why }: { obstacle: Obstacle; why: string }) {
  return change(host.context, row.id, "refuse", `${obstacle}: ${why}`);
}

/** Whether a text may be typed into a pane now. `wait`: not yet; `refuse`: not until someone acts. */
export type Gate = { may: "type" } | { may: "wait"; why: string } | { may: "refuse"; obstacle: Obstacle; why: string };

export type Obstacle = "dialog" | "draft" | "stopped" | "stranger" | "shell" | "dead" | "long_line";

/** Obstacles that go away by themselves: they refuse a new prompt, but one that already waits keeps waiting. */
export const TRANSIENT: ReadonlySet<Obstacle> = new Set(["dialog", "draft", "stopped"]);

/** The longest line that a terminal in canonical mode takes, without its line feed; the rest and the Enter would be lost. */
const CANONICAL_LINE = process.platform === "linux" ? 4095 : 1023;

/**
 * Types only if an empty composer is on the screen, or the program takes lines. `known` is the line of a shell that has
 * nothing typed on it.
 */
export function judgeView(cli: AgentCli, { verdict, screen }: PaneView, known: string | null): Gate {
  const refuse = (obstacle: Obstacle, why: string): Gate => ({ may: "refuse", obstacle, why });
  if (verdict.status === "terminated") {
    return refuse(verdict.rule === "shell" ? "shell" : "dead", verdict.reason);
  }
  if (verdict.rule === "unrecognised") return { may: "wait", why: "mu does not recognise its screen" };
  if (verdict.status === "busy") return { may: "wait", why: `it is busy: ${verdict.reason}` };
  if (isStoppedBy(verdict)) return refuse("stopped", verdict.reason);
  if (verdict.status !== "idle") return refuse("dialog", verdict.reason);
  if (cli.reading.by === "shell") {
    const line = judgePromptLine(screen, known);
    if (line === "prompt") return { may: "type" };
    const other = "its last line is not a prompt that mu knows: a question, an open quote, or a half-typed line";
    return refuse("draft", line === "typed" ? "there is a half-typed line at the prompt" : other);
  }
  if (cli.reading.by === "process") {
    const dialog = readForeign(Object.values(AGENT_CLIS), screen).find(({ seen }) => isDialog(seen));
    return dialog ? refuse("dialog", `it looks like ${dialog.cli}, which ${dialog.seen.reason}`) : { may: "type" };
  }
  if (verdict.draft) return refuse("draft", "there is a half-typed text in the composer");
  if (layOut(cli.reading, screen).composer === undefined)
    return { may: "wait", why: "its composer is not on the screen" };
  return { may: "type" };
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

/** A delivery that is reserved, and the pane as it was when that was decided. */
export interface Typing {
  agent: RowOf<"agents">;
  cli: AgentCli;
  row: DeliveryRow;
  before: PaneView;
}

/** The delivery's transition; `withdraw`: surely nothing was typed. */
export interface Typed {
  as: "prove" | "echo" | "doubt" | "withdraw";
  why: string;
}

/** How long a composer may take to show a paste (ms), and per KiB. */
const ARRIVAL_MS = 2_000;
const ARRIVAL_MS_PER_KIB = 15;
/** How long a proof may take after the last Enter (ms). */
const PROOF_MS = 8_000;
/** A text that is still in the composer this long after Enter (ms) was not taken. */
const ENTER_LOST_MS = 500;
/** Reading the transcript needs no tmux call; the screen is captured only every n-th turn. */
const SCREEN_TURNS = 4;
/** The first Enter and two more. */
const ENTERS = 3;

/** Types the text, presses Enter and looks for the proof. Whatever goes wrong, the text is typed at most once. */
export async function typeAndProve(host: TmuxHost, typing: Typing): Promise<Typed> {
  try {
    await pasteOnce(host, typing);
  } catch (error) {
    return failedPaste(error);
  }
  try {
    return await (typing.cli.proof.by === "echo" ? awaitEcho(host, typing) : submit(host, typing));
  } catch (error) {
    const found = await findEvidence(host, typing).catch(() => undefined);
    return found ?? { as: "doubt", why: `it was typed, then: ${messageOf(error)}` };
  }
}

async function pasteOnce(host: TmuxHost, { agent, cli, row, before }: Typing): Promise<void> {
  const { cursorX: x, cursorY: y } = before.screen;
  const paste = { pane: before.pane.id, text: guardText(cli, row.text), agentId: String(agent.id), cursor: { x, y } };
  await host.tmux.paste({ ...paste, enter: takesEnterAtOnce(cli) });
}

/** Paste and Enter in one call: a program that reads its terminal line by line takes them in order. */
function takesEnterAtOnce(cli: AgentCli): boolean {
  return cli.proof.by === "echo" && cli.pasteEnterDelayMs === 0;
}

/** Faults that are raised before anything is typed. After any other the text may have arrived. */
const NOTHING_TYPED: readonly string[] = [
  "pane.moved",
  "pane.stranger",
  "pane.dead",
  "pane.not_found",
  "tmux.not_installed",
];

function failedPaste(error: unknown): Typed {
  const why = messageOf(error);
  const isSure = error instanceof Fault && NOTHING_TYPED.includes(error.code);
  return { as: isSure ? "withdraw" : "doubt", why: isSure ? why : `its paste was interrupted: ${why}` };
}

/** A shell or a plain program: all that its terminal can show is an echo. */
async function awaitEcho(host: TmuxHost, typing: Typing): Promise<Typed> {
  const { agent, cli, row, before } = typing;
  if (!takesEnterAtOnce(cli)) {
    await host.context.clock.sleep(cli.pasteEnterDelayMs);
    await press(host, typing);
  }
  let turn = 0;
  const once = async () =>
    (await findEvidence(host, typing)) ?? (turn++ % SCREEN_TURNS === SCREEN_TURNS - 1 ? await seen() : undefined);
  const seen = async (): Promise<Typed | undefined> => {
    const after = await viewAgent(host, agent, before.pane);
    const why = after && proveByScreen(cli, row.text, { before, held: undefined, after });
    return why === undefined ? undefined : { as: "echo", why };
  };
  const timeoutMs = PROOF_MS + arrivalMs(row);
  const proved = await pollUntil(host.context.clock, once, backoff(4, 100, timeoutMs));
  return proved ?? { as: "doubt", why: "the pane shows no echo of it" };
}

/** An agent CLI: the text is seen in the composer, Enter is pressed, and the text must leave it. */
async function submit(host: TmuxHost, typing: Typing): Promise<Typed> {
  const { agent, cli, row, before } = typing;
  const { clock } = host.context;
  const look = () => viewAgent(host, agent, before.pane);
  await clock.sleep(cli.pasteEnterDelayMs);
  const held = await pollUntil(clock, async () => holding(await look()), backoff(15, 150, arrivalMs(row)));
  if (held !== undefined && isDialog(held.verdict)) {
    return { as: "doubt", why: `a question opened while typing: ${held.verdict.reason}` };
  }

  let enters = await press(host, typing, held);
  let pressedAt = clock.now().getTime();
  const once = async (): Promise<Typed | undefined> => {
    const after = await look();
    const why = after && proveByScreen(cli, row.text, { before, held, after });
    if (why !== undefined) return { as: "prove", why };
    const found = await findEvidence(host, typing);
    if (found !== undefined) return found;
    const isLost = clock.now().getTime() - pressedAt >= ENTER_LOST_MS;
    if (after === undefined || !after.verdict.draft || enters >= ENTERS || !isLost) return undefined;
    enters += await press(host, typing, after);
    pressedAt = clock.now().getTime();
    return undefined;
  };
  // What starts slowly also takes its first prompt slowly.
  const proofMs = Math.max(PROOF_MS, (cli.startMs ?? 0) / 2);
  const proved = await pollUntil(clock, once, backoff(20, 200, proofMs));
  return proved ?? unproved(host, typing, held);
}

/** The view if its composer holds a text or a question has replaced it. */
function holding(look: PaneView | undefined): PaneView | undefined {
  return look !== undefined && (look.verdict.draft || isDialog(look.verdict)) ? look : undefined;
}

/** Presses keys once; 0 if the cursor is not where the text was: a dialog may have opened that Enter would answer. */
async function press(host: TmuxHost, { agent, before }: Typing, seen?: PaneView, keys = ["Enter"]): Promise<0 | 1> {
  const cursor = seen && { x: seen.screen.cursorX, y: seen.screen.cursorY };
  const enter = { pane: before.pane.id, keys, agentId: String(agent.id) };
  try {
    await host.tmux.sendKeys(cursor ? { ...enter, cursor } : enter);
    return 1;
  } catch (error) {
    if (error instanceof Fault && error.code === "pane.moved") return 0;
    throw error;
  }
}

/** Why a text is unproved: its receiver may still take it. */
export const UNREAD = "the pane has printed nothing since; its program may take the text when it goes on";

async function unproved(host: TmuxHost, typing: Typing, held: PaneView | undefined): Promise<Typed> {
  const { agent, row, before } = typing;
  const look = await viewAgent(host, agent, before.pane);
  if (look === undefined) return { as: "doubt", why: "its pane was closed while typing" };
  if (look.verdict.draft) return { as: "doubt", why: `Enter had no effect; it is ${await clear(host, typing, held)}` };
  if (await isUnread(host, agent, row)) return { as: "doubt", why: UNREAD };
  return { as: "doubt", why: `no sign that it was taken; the pane shows: ${look.verdict.reason}` };
}

/** Enough for the lines of a text that no CLI shows as a placeholder. */
const CLEAR = Array.from({ length: 8 }, () => ["C-u", "BSpace"]).flat();
const REDRAW_MS = 200;

/** Clears the composer, if nobody has moved its cursor since the text was `held` there. */
async function clear(host: TmuxHost, typing: Typing, held: PaneView | undefined): Promise<string> {
  if (held === undefined || (await press(host, typing, held, CLEAR)) === 0) return "still in the composer";
  await host.context.clock.sleep(REDRAW_MS);
  const left = (await viewAgent(host, typing.agent, typing.before.pane))?.verdict.draft;
  return left === false ? "cleared from the composer" : "still in the composer";
}

function arrivalMs({ text }: DeliveryRow): number {
  return ARRIVAL_MS + (Buffer.byteLength(text) / 1024) * ARRIVAL_MS_PER_KIB;
}

export type PollOptions = Parameters<typeof pollUntil>[2];

/** Options for `pollUntil` with a growing interval. */
export function backoff(fromMs: number, toMs: number, timeoutMs: number, signal?: AbortSignal): PollOptions {
  let next = fromMs / 1.5;
  return {
    timeoutMs,
    signal,
    get everyMs() {
      next = Math.min(toMs, next * 1.5);
      return next;
    },
  };
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\.$/, "");
}
