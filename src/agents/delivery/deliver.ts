import { type Clock, pollUntil } from "../../clock.js";
import type { RowOf } from "../../db/write.js";
import { Fault } from "../../errors.js";
import type { Exec } from "../../exec.js";
import type { AgentCli } from "../clis/cli.js";
import { getAgentCli } from "../clis/table.js";
import type { Crew } from "../crew.js";
import { locate } from "../pane.js";
import { type Look, lookClosely, lookOf } from "../screen/capture.js";
import { layOut, type Screen, screenRows } from "../screen/screen.js";
import { change, type DeliveryRow, deliveryRow, firstPending, isAbandoned, reserve } from "./outbox.js";
import { isQuestion, proveByRecords, proveByScreen, takeBaseline } from "./proof.js";

/** An obstacle is believed when it is still there after this long (ms): another sender's text is a draft for a moment. */
const SECOND_LOOK_MS = 250;

/**
 * Types what stands first in the agent's outbox, if the pane is ready for it, and gives the row when it is settled.
 * What somebody else is typing is left to them, until they must have been cut off. `fresh` is the delivery of a
 * sender who just came: a dialog or a draft refuses it, while older ones go on waiting, those of a dead incarnation
 * for the next one of its name.
 */
export async function deliverNext(
  crew: Crew,
  agent: RowOf<"agents">,
  fresh?: number,
): Promise<DeliveryRow | undefined> {
  const { db } = crew.context.store;
  const row = await firstPending(db, agent.id);
  if (row === undefined) return undefined;
  if (row.state === "pasted") return isAbandoned(row, crew.context.clock.now()) ? settle(crew, agent, row) : undefined;
  if (agent.closed_at !== null && fresh === undefined) return undefined;
  const seen = await approach(crew, agent, row);
  if (seen.may === "wait") return undefined;
  if (seen.may === "type") return type(crew, agent, row, seen.look);
  if (!PASSING.has(seen.obstacle)) return refuse(crew, row, seen);
  if (fresh === undefined) return undefined;

  await crew.context.clock.sleep(SECOND_LOOK_MS);
  if ((await firstPending(db, agent.id))?.state === "pasted") return undefined;
  const again = await approach(crew, agent, row);
  if (again.may !== "refuse") return undefined;
  return refuse(crew, await deliveryRow(db, fresh), again);
}

type Approach = Exclude<Gate, { may: "type" }> | { may: "type"; look: Look };

/** Looks at the agent's pane and judges whether the text may be typed. */
async function approach(crew: Crew, agent: RowOf<"agents">, row: DeliveryRow): Promise<Approach> {
  if (agent.closed_at !== null) return { may: "refuse", obstacle: "dead", why: "the agent was closed" };
  const { panes, screens } = await crew.tmux.survey({
    screens: agent.pane === null ? [] : [agent.pane],
    escapes: true,
  });
  const place = (await locate(crew, [agent], panes)).get(agent.id);
  if (place?.at === "gone") {
    return { may: "refuse", obstacle: place.lost === "taken" ? "stranger" : "dead", why: place.why };
  }
  if (place?.at !== "pane") return { may: "wait", why: place?.at === "elsewhere" ? place.why : "it has no pane yet" };
  const cli = getAgentCli(agent.cli);
  const captured = screens.get(place.pane.id);
  const look = captured ? lookOf(cli, place.pane, captured) : await lookClosely(crew, cli, place.pane);
  if (look === undefined) return { may: "wait", why: `pane ${place.pane.id} is gone` };
  const gate = judgeLook(cli, look);
  if (gate.may !== "type") return gate;
  const lines = await judgeLines(crew.exec, place.pane.tty, row.text);
  return lines.may === "type" ? { may: "type", look } : lines;
}

async function type(
  crew: Crew,
  agent: RowOf<"agents">,
  row: DeliveryRow,
  before: Look,
): Promise<DeliveryRow | undefined> {
  const baseline = JSON.stringify(await takeBaseline(crew, agent));
  const reserved = await reserve(crew.context, row, baseline);
  if (reserved === undefined) return undefined;
  const typed = await typeAndProve(crew, { agent, cli: getAgentCli(agent.cli), row: reserved, before });
  const after = await change(crew.context, row.id, VERBS[typed.as], typed.why);
  return typed.as === "withdrawn" ? undefined : after;
}

const VERBS = { proved: "prove", unproved: "doubt", withdrawn: "withdraw" } as const;

/** One that was being typed by somebody who is gone: proved by what is on record, else unproved. Never typed again. */
async function settle(crew: Crew, agent: RowOf<"agents">, row: DeliveryRow): Promise<DeliveryRow> {
  const proof = await proveByRecords(crew, { agent, cli: getAgentCli(agent.cli), row });
  if (proof !== undefined) return change(crew.context, row.id, "prove", proof);
  return change(crew.context, row.id, "doubt", "its sender was cut off while it was typed");
}

function refuse(crew: Crew, row: DeliveryRow, { obstacle, why }: { obstacle: Obstacle; why: string }) {
  return change(crew.context, row.id, "refuse", `${obstacle}: ${why}`);
}

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

/** A delivery that is reserved, and the pane as it was when that was decided. */
export interface Typing {
  agent: RowOf<"agents">;
  cli: AgentCli;
  row: DeliveryRow;
  before: Look;
}

/** `withdrawn`: surely nothing was typed. */
export type Typed = { as: "proved"; why: string } | { as: "unproved"; why: string } | { as: "withdrawn"; why: string };

/** So long a composer may take to show a paste (ms), and so much more for each KiB. */
const ARRIVAL_MS = 2_000;
const ARRIVAL_MS_PER_KIB = 15;
/** So long after the last Enter a proof may come. */
const PROOF_MS = 8_000;
/** A text that stands in the composer so long after its Enter was not taken. */
const ENTER_LOST_MS = 500;
/** A pane's transcript is read without tmux; its screen only every so many turns. */
const SCREEN_TURNS = 4;
/** The first Enter and two more. */
const ENTERS = 3;

/** Types the text, presses Enter and looks for the proof. Whatever goes wrong on the way, the text is typed once. */
export async function typeAndProve(crew: Crew, typing: Typing): Promise<Typed> {
  try {
    await pasteOnce(crew, typing);
  } catch (error) {
    return failedPaste(error);
  }
  try {
    return await (typing.cli.proof.by === "echo" ? awaitEcho(crew, typing) : submit(crew, typing));
  } catch (error) {
    const proof = await proveByRecords(crew, typing).catch(() => undefined);
    if (proof !== undefined) return { as: "proved", why: proof };
    return { as: "unproved", why: `it was typed, then: ${messageOf(error)}` };
  }
}

async function pasteOnce(crew: Crew, { agent, cli, row, before }: Typing): Promise<void> {
  const { cursorX: x, cursorY: y } = before.screen;
  const paste = { pane: before.pane.id, text: row.text, agentId: String(agent.id), cursor: { x, y } };
  await crew.tmux.paste(takesEnterAtOnce(cli) ? { ...paste, enter: { afterMs: 0, sleep: async () => {} } } : paste);
}

/** Paste and Enter in one call: a program that reads its terminal line by line takes them in order. */
function takesEnterAtOnce(cli: AgentCli): boolean {
  return cli.proof.by === "echo" && cli.pasteEnterDelayMs === 0;
}

/** Refusals that tmux gives before it types. Of anything else nobody knows how far it came. */
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
  return { as: isSure ? "withdrawn" : "unproved", why: isSure ? why : `its paste was cut off: ${why}` };
}

/** A shell or a plain program: what it echoes is the proof. */
async function awaitEcho(crew: Crew, typing: Typing): Promise<Typed> {
  const { cli, row, before } = typing;
  if (!takesEnterAtOnce(cli)) {
    await crew.context.clock.sleep(cli.pasteEnterDelayMs);
    await press(crew, typing, undefined);
  }
  let turn = 0;
  const once = async () => {
    const why =
      (await proveByRecords(crew, typing)) ?? (turn++ % SCREEN_TURNS === SCREEN_TURNS - 1 ? await seen() : undefined);
    return why === undefined ? undefined : ({ as: "proved", why } as const);
  };
  const seen = async () => {
    const after = await lookClosely(crew, cli, before.pane);
    return after && proveByScreen(cli, row.text, { before, held: undefined, after });
  };
  const timeoutMs = PROOF_MS + arrivalMs(row);
  const proved = await pollUntil(crew.context.clock, once, growing(4, 100, timeoutMs));
  return proved ?? { as: "unproved", why: "the pane shows no echo of it" };
}

/** An agent CLI: the text is seen in the composer, Enter is pressed, and the text must leave it. */
async function submit(crew: Crew, typing: Typing): Promise<Typed> {
  const { cli, row, before } = typing;
  const { clock } = crew.context;
  const look = () => lookClosely(crew, cli, before.pane);
  await clock.sleep(cli.pasteEnterDelayMs);
  const held = await pollUntil(clock, async () => holding(await look()), growing(15, 150, arrivalMs(row)));
  if (held !== undefined && isQuestion(held)) return openedDialog(held);

  let enters = await press(crew, typing, held);
  let pressedAt = clock.now().getTime();
  const once = async (): Promise<Typed | undefined> => {
    const after = await look();
    const seen = after && proveByScreen(cli, row.text, { before, held, after });
    const why = seen ?? (await proveByRecords(crew, typing));
    if (why !== undefined) return { as: "proved", why };
    if (after === undefined || !after.verdict.draft || enters >= ENTERS || !isSince(clock, pressedAt)) return undefined;
    enters += await press(crew, typing, after);
    pressedAt = clock.now().getTime();
    return undefined;
  };
  const proved = await pollUntil(clock, once, growing(20, 200, PROOF_MS));
  return proved ?? unproved(await look());
}

/** A look at a composer that holds a text, or at a question that took its place. */
function holding(look: Look | undefined): Look | undefined {
  return look !== undefined && (look.verdict.draft || isQuestion(look)) ? look : undefined;
}

function isSince(clock: Clock, pressedAt: number): boolean {
  return clock.now().getTime() - pressedAt >= ENTER_LOST_MS;
}

/**
 * Presses Enter once; 0 when the cursor is not where the text was seen, because then something else may have opened
 * that an Enter would answer.
 */
async function press(crew: Crew, { agent, before }: Typing, seen: Look | undefined): Promise<0 | 1> {
  const cursor = seen && { x: seen.screen.cursorX, y: seen.screen.cursorY };
  const enter = { pane: before.pane.id, keys: ["Enter"], agentId: String(agent.id) };
  try {
    await crew.tmux.sendKeys(cursor ? { ...enter, cursor } : enter);
    return 1;
  } catch (error) {
    if (error instanceof Fault && error.code === "pane.moved") return 0;
    throw error;
  }
}

function openedDialog(look: Look): Typed {
  return { as: "unproved", why: `a question opened while it was typed: ${look.verdict.reason}` };
}

function unproved(look: Look | undefined): Typed {
  if (look === undefined) return { as: "unproved", why: "its pane went away while it was typed" };
  if (look.verdict.draft) return { as: "unproved", why: "it stands in the composer; Enter had no effect" };
  return { as: "unproved", why: `no sign that it was taken; the pane: ${look.verdict.reason}` };
}

function arrivalMs({ text }: DeliveryRow): number {
  return ARRIVAL_MS + (Buffer.byteLength(text) / 1024) * ARRIVAL_MS_PER_KIB;
}

/** How long somebody waits, and how often they look. */
export type Patience = Parameters<typeof pollUntil>[2];

/** A pace for `pollUntil` that starts quick and slows down. */
export function growing(fromMs: number, toMs: number, timeoutMs: number, signal?: AbortSignal): Patience {
  let next = fromMs / 1.5;
  return {
    timeoutMs,
    ...(signal && { signal }),
    get everyMs() {
      next = Math.min(toMs, next * 1.5);
      return next;
    },
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
