import { join } from "node:path";
import * as z from "zod";
import { defineOperation, listed, listOf } from "../define.js";
import { field } from "../fields.js";

/** Where each CLI looks for skills, below the home folder. */
const PLACES = {
  claude: ".claude/skills",
  pi: ".pi/agent/skills",
  codex: ".codex/skills",
  opencode: ".config/opencode/skills",
  gemini: ".gemini/skills",
} as const;

/** Its skill for each part in a crew; the skill's name is its folder. */
const SKILLS = { worker: "mu", orchestrator: "mu-orchestrator" } as const;

const ROLES = Object.keys(SKILLS) as (keyof typeof SKILLS)[];
const KEYS = Object.keys(PLACES) as (keyof typeof PLACES)[];

export const skillInstall = defineOperation({
  name: "skill.install",
  summary: "Install mu's skills for agent CLIs",
  description: "One skill is for agents that do tasks (worker), one for an agent that leads a crew (orchestrator).",
  effect: "write",
  journalled: false,
  standalone: true,
  input: () => ({
    cli: field(z.array(z.enum(KEYS)).min(1).optional(), "Only for these CLIs"),
    role: field(z.enum(ROLES).optional(), "Only the skill of this role"),
  }),
  output: listOf({ cli: "string", role: ROLES, path: "string", changed: "boolean" }),
  examples: [
    { command: "mu skill install --cli claude", shows: "for Claude Code" },
    { command: "mu skill install --role orchestrator", shows: "only what an agent needs that leads others" },
    { command: "mu skill install --cli emacs", shows: "an unknown CLI", fault: "usage.invalid_input" },
  ],
  async run({ program, request }, { cli, role: only }) {
    const items = [];
    for (const key of cli ?? KEYS) {
      for (const role of only ? [only] : ROLES) {
        const path = join(request.env["HOME"] ?? "/", PLACES[key], SKILLS[role], "SKILL.md");
        items.push({ cli: key, role, path, changed: await program.installSkill(SKILLS[role], path) });
      }
    }
    return listed(items);
  },
  render: ({ items }, paint) =>
    paint.table(items, [
      { head: "cli", text: (item) => item.cli },
      { head: "role", text: (item) => item.role },
      { head: "skill", text: (item) => item.path, cut: "front" },
      { head: "", text: (item) => (item.changed ? "written" : "unchanged") },
    ]),
});
