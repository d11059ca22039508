import { resolve } from "node:path";
import * as z from "zod";
import { MODULE, scanModules } from "../jobs/modules.js";
import { NEW_SKILL_FILE, projectAround, SKILL_FILE, syncProject } from "../jobs/sync.js";
import { counted, enumerate } from "../names.js";
import { SETTINGS_FILE } from "../project/read.js";
import { execAlone } from "../vcs/alone.js";
import { defineOperation, WARNINGS, warningLines } from "./define.js";
import { field, flag } from "./fields.js";

export const sync = defineOperation({
  name: "sync",
  summary: "Bring the project's modules and mu's skill for jobs up to date",
  description: `Looks for modules, the documents called _name.md, writes their tree into ${SETTINGS_FILE}, ignores the jobs that stay on this machine and installs the skill ${SKILL_FILE}. Your own settings stay as they are. A skill that you have edited stays, too; the new one is put beside it as SKILL.md.new. A second time changes nothing.`,
  effect: "write",
  journalled: false,
  standalone: true,
  repeatable: true,
  input: () => ({
    dir: field(z.string().min(1).optional(), "Project folder (default: the one around this folder)", {
      value: "folder",
    }),
    dryRun: flag("Show what would be written, and write nothing"),
  }),
  output: {
    ...{ root: "string", modules: [MODULE], added: "string[]", removed: "string[]", changes: "string[]" },
    ...{ warnings: WARNINGS, dryRun: "boolean" },
  },
  examples: [
    { command: "mu sync", shows: "the modules that are new, those that are gone, and the files written" },
    { command: "mu sync --dir . --dry-run", shows: "what it would write, and this folder is the project" },
    { command: "mu sync --now", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  writes: ({ dryRun }) => !dryRun,
  async run({ request, program }, { dir, dryRun }) {
    const root = dir === undefined ? projectAround(request.cwd) : resolve(request.cwd, dir);
    const { modules, warnings } = await scanModules({ exec: execAlone, env: request.env }, root);
    const skill = await program.readSkill("mu-jobs");
    const { changes, added, removed, aside } = await syncProject(root, modules, skill, { dryRun });
    const message = `${SKILL_FILE} was edited and stays as it is. mu's own is ${NEW_SKILL_FILE}.`;
    return {
      ...{ root, modules, added, removed, changes, dryRun },
      warnings: [...warnings, ...(aside ? [{ code: "sync.skill_edited", message }] : [])],
    };
  },
  render: ({ modules, added, removed, changes, warnings, dryRun }) => [
    `${counted(modules.length, "module")}, ${counted(changes.length, "change")}${dryRun ? " (not written)" : ""}`,
    added.length > 0 && `  new: ${enumerate(added)}`,
    removed.length > 0 && `  gone: ${enumerate(removed)}`,
    changes.map((path) => `  ${dryRun ? "would write" : "wrote"} ${path}`),
    warningLines(warnings),
  ],
});
