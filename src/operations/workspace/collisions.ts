import { enumerate } from "../../names.js";
import type { Collision } from "../../workspaces/radar/radar.js";
import type { Paint } from "../define.js";

/** Who collides with whom, in which files and since when; those of two agents first. */
export function collisionTable(collisions: readonly Collision[], paint: Paint): string {
  const ordered = [...collisions.filter(({ b }) => b !== null), ...collisions.filter(({ b }) => b === null)];
  return paint.table(ordered, [
    { head: "who", text: ({ a }) => a },
    { head: "with", text: ({ b, branch }) => b ?? `${branch ?? "the target"} (its target)`, max: 40 },
    { head: "files", text: ({ paths }) => enumerate(paths, 3), max: 70 },
    { head: "since", text: ({ since }) => `${clockOf(since)}, ${paint.ago(since)}` },
  ]);
}

/** `12:03` on the clock of this machine. */
function clockOf(at: string): string {
  const date = new Date(at);
  return [date.getHours(), date.getMinutes()].map((part) => String(part).padStart(2, "0")).join(":");
}
