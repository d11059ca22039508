import * as z from "zod";
import type { NextStep } from "../../errors.js";
import { type Salvage, tellSalvage } from "../../workspaces/salvage.js";

const orNull = <T extends z.ZodType>(shape: T) => z.union([shape, z.null()]);

/** A save; the numbers are null for one that a crash left without a row. */
export const salvageShape = () =>
  z.strictObject({
    name: z.string(),
    workstream: z.string(),
    agent: z.string(),
    n: z.number(),
    backend: z.enum(["git", "jj", "sl", "none"]),
    root: z.string(),
    place: z.string(),
    commit: orNull(z.string()),
    commits: orNull(z.number()),
    files: orNull(z.number()),
    reason: orNull(z.string()),
    createdAt: orNull(z.string()),
  });

/** What a verb that takes work away has saved before. */
export const savedShape = () => orNull(salvageShape());

/** The line about what was saved; `[]` when there was nothing to save. */
export function savedLines(salvage: Pick<Salvage, "name"> | null): string[] {
  return salvage === null ? [] : [`  saved ${tellSalvage(salvage as Salvage)}`];
}

/** How to look at what was saved, and to bring it back. */
export function savedSteps(salvage: Pick<Salvage, "name"> | null): NextStep[] {
  if (salvage === null) return [];
  return [
    { intent: "See what was saved", command: `mu salvage show ${salvage.name}` },
    { intent: "Bring it back", command: `mu salvage restore ${salvage.name}` },
  ];
}
