import * as z from "zod";
import { installHooks } from "../../agents/hooks/install.js";
import { defineOperation } from "../operation.js";
import { hookFields, hooksShape, hookTable, hookTargets } from "./fields.js";

export const hooksInstall = defineOperation({
  name: "hooks.install",
  summary: "Let agent CLIs report to mu what they do",
  description:
    "Of the user, or with --project of a project's folder. Your own entries stay as they are. Agents that mu spawns need none of it: they get their hooks with their command.",
  effect: "write",
  journalled: false,
  standalone: true,
  input: () => z.strictObject(hookFields()),
  output: () => hooksShape(),
  examples: [
    { command: "mu hooks install --cli claude", shows: "for Claude Code" },
    { command: "mu hooks install --cli emacs", shows: "a CLI that is none", fault: "usage.invalid_input" },
  ],
  async run({ io }, input) {
    const items = [];
    for (const target of hookTargets(io, input)) items.push(await installHooks(target));
    return { items, count: items.length };
  },
  render: ({ items }, paint) => hookTable(items, paint),
});
