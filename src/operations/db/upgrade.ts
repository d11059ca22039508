import { defineOperation, step } from "../define.js";
import { flag } from "../fields.js";

export const dbUpgrade = defineOperation({
  name: "db.upgrade",
  summary: "Migrate the database to this version of mu",
  description:
    "Every command does this when it opens an older database; use --dry-run to see the pending migrations first.",
  effect: "write",
  standalone: true,
  input: () => ({ dryRun: flag("Only show what would be done") }),
  output: { location: "string", pending: "string[]", upgraded: "boolean" },
  examples: [
    { command: "mu db upgrade --dry-run", shows: "the pending migrations" },
    { command: "mu db upgrade --force", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  async run({ program }, { dryRun }) {
    const { location, pending } = await program.upgradeDatabase({ dryRun });
    return { location, pending, upgraded: !dryRun && pending.length > 0 };
  },
  next: ({ pending }, { dryRun }) => (dryRun && pending.length > 0 ? [step("Apply it", "mu db upgrade")] : []),
  render: ({ location, pending, upgraded }) => {
    if (pending.length === 0) return `${location} is up to date.`;
    return `${upgraded ? "Upgraded" : "Would upgrade"} ${location}: ${pending.join(", ")}`;
  },
});
