import type { RowOf } from "../../db/write.js";
import { getAgentCli } from "../clis/table.js";
import type { Crew } from "../crew.js";
import { type Look, lookClosely, lookOf } from "../status/look.js";
import { locate } from "../whereabouts.js";
import { type Gate, judgeLines, judgeLook, type Obstacle, PASSING } from "./gate.js";
import { proveByRecords, takeBaseline } from "./proof.js";
import { change, type DeliveryRow, deliveryRow, firstPending, isAbandoned, reserve } from "./rows.js";
import { typeAndProve } from "./type.js";

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
