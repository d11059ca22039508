import { existsSync } from "node:fs";
import type { RowOf } from "../db/write.js";
import { Fault } from "../errors.js";
import { type AgentRef, qualifiedName, quote } from "../names.js";
import { placeHere, sightOf } from "../place.js";

type AgentPlace = Pick<RowOf<"agents">, "host" | "boot" | "namespace" | "socket">;

/** What can be seen from here of the agent's processes, as `sightOf`; a row without a host is of this machine. */
export function sightOfAgent({ host, boot, namespace }: AgentPlace): ReturnType<typeof sightOf> {
  return host === null ? "all" : sightOf({ host, boot: boot ?? "-/-", namespace: namespace ?? "-" });
}

/** Where an agent lives whose processes cannot be seen from here; undefined for any other. */
export function whyHidden(row: AgentPlace): string | undefined {
  if (sightOfAgent(row) !== "none") return undefined;
  const here = placeHere();
  const namesake = row.boot === here.boot ? "in another process namespace of" : "on another machine called";
  const socket = row.socket === null ? "" : `, tmux socket ${row.socket}`;
  return `it lives ${row.host === here.host ? namesake : "on"} ${row.host}${socket}, and cannot be seen from here`;
}

/** As `whyHidden`, unless a sandbox may share the tmux socket, which shows the agent's pane. */
export function whyUnreachable(row: AgentPlace): string | undefined {
  const here = placeHere();
  const mayBeShared = row.host === here.host && row.boot === here.boot && existsSync(row.socket ?? "");
  return mayBeShared ? undefined : whyHidden(row);
}

/** The fault for a verb that would have to see the agent's processes. */
export function unreachable(row: AgentRef, why: string): Fault {
  return new Fault("unavailable", "agent.unreachable", `${quote(row.name)} is left alone: ${why}.`, [
    { intent: "See where it lives", command: `mu agent show ${qualifiedName(row)}` },
    { intent: "Close it if that is gone", command: `mu agent close ${qualifiedName(row)} --even-if-unreachable` },
  ]);
}
