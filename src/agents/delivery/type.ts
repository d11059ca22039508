import { type Clock, pollUntil } from "../../clock.js";
import type { RowOf } from "../../db/write.js";
import { Fault } from "../../errors.js";
import type { AgentCli } from "../clis/cli.js";
import type { Crew } from "../crew.js";
import { type Look, lookClosely } from "../status/look.js";
import { isQuestion, proveByRecords, proveByScreen } from "./proof.js";
import type { DeliveryRow } from "./rows.js";

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
