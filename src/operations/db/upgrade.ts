import * as z from "zod";
import { about } from "../fields.js";
import { defineOperation } from "../operation.js";
import { NEXT_STEPS, schemaOf } from "../shapes.js";

export const dbUpgrade = defineOperation({
  name: "db.upgrade",
  summary: "Bring the database up to this mu's schema",
  description:
    "Every verb does this by itself when it meets an older database; this shows beforehand what it would be.",
  effect: "write",
  standalone: true,
  input: () => z.strictObject({ dryRun: z.boolean().default(false).meta(about("Only show what would be done")) }),
  output: () => schemaOf({ location: "string", pending: "string[]", upgraded: "boolean", nextSteps: NEXT_STEPS }),
  examples: [
    { command: "mu db upgrade --dry-run", shows: "the migrations still to run" },
    { command: "mu db upgrade --force", shows: "a flag it does not have", fault: "usage.unknown_option" },
  ],
  async run({ io }, { dryRun }) {
    const { location, pending } = await io.upgradeDatabase({ dryRun });
    const upgraded = !dryRun && pending.length > 0;
    const nextSteps = dryRun && pending.length > 0 ? [{ intent: "Do it", command: "mu db upgrade" }] : [];
    return { location, pending, upgraded, nextSteps };
  },
  render: ({ location, pending, upgraded }) => {
    if (pending.length === 0) return `${location} is up to date.`;
    return `${upgraded ? "Upgraded" : "Would upgrade"} ${location}: ${pending.join(", ")}`;
  },
});
