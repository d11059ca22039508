import { join } from "node:path";
import * as z from "zod";
import { defineOperation, listed, listOf } from "../define.js";
import { field } from "../fields.js";

/** Where each CLI looks for skills, below the home folder. */
const PLACES = {
  claude: ".claude/skills/mu/SKILL.md",
  pi: ".pi/agent/skills/mu/SKILL.md",
  codex: ".codex/skills/mu/SKILL.md",
  opencode: ".config/opencode/skills/mu/SKILL.md",
  gemini: ".gemini/skills/mu/SKILL.md",
} as const;

const KEYS = Object.keys(PLACES) as (keyof typeof PLACES)[];

export const skillInstall = defineOperation({
  name: "skill.install",
  summary: "Install mu's skill for agent CLIs",
  effect: "write",
  journalled: false,
  standalone: true,
  input: () => ({ cli: field(z.array(z.enum(KEYS)).min(1).optional(), "Only for these CLIs") }),
  output: listOf({ cli: "string", path: "string", changed: "boolean" }),
  examples: [
    { command: "mu skill install --cli claude", shows: "for Claude Code" },
    { command: "mu skill install --cli emacs", shows: "an unknown CLI", fault: "usage.invalid_input" },
  ],
  async run({ program, request }, { cli }) {
    const items = [];
    for (const key of cli ?? KEYS) {
      const path = join(request.env["HOME"] ?? "/", PLACES[key]);
      items.push({ cli: key, path, changed: await program.installSkill(path) });
    }
    return listed(items);
  },
  render: ({ items }, paint) =>
    paint.table(items, [
      { head: "cli", text: (item) => item.cli },
      { head: "skill", text: (item) => item.path, max: 80 },
      { head: "", text: (item) => (item.changed ? "written" : "unchanged") },
    ]),
});
