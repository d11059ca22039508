import { resolve } from "node:path";
import * as z from "zod";
import {
  type HookReport,
  type HookTarget,
  hooksStatus,
  installHooks,
  uninstallHooks,
} from "../agents/hooks/install.js";
import { defineOperation, listed, listOf, type Operation, type Request } from "./define.js";
import { field, type InputOf, optionalText } from "./fields.js";

/** CLIs whose hooks can be installed for good. */
const CLIS = ["claude", "pi", "opencode"] as const;

/** What sets the verbs of hooks apart. */
interface HooksVerb extends Pick<Operation, "summary" | "effect"> {
  journalled?: false;
  each: (target: HookTarget) => Promise<HookReport & { changed?: boolean }>;
}

/** A verb that does one thing to the hooks of each CLI. */
function defineHooksVerb(hooksVerb: string, { each, ...verb }: HooksVerb): Operation {
  return defineOperation({
    ...verb,
    name: `hooks.${hooksVerb}`,
    description:
      "Works on the user's configuration, or on a project's with --project. Your own entries are left alone. Agents that mu spawns do not need this: their hooks are part of their command.",
    standalone: true,
    input: hookFields,
    output: listOf({
      cli: "string",
      path: "string",
      state: ["installed", "outdated", "absent"],
      "changed?": "boolean",
    }),
    examples: [
      { command: `mu hooks ${hooksVerb} --cli claude`, shows: "for Claude Code" },
      { command: `mu hooks ${hooksVerb} --cli emacs`, shows: "an unknown CLI", fault: "usage.invalid_input" },
    ],
    async run({ request }, input) {
      const items = [];
      for (const target of hookTargets(request, input)) items.push(await each(target));
      return listed(items);
    },
    render: ({ items }, paint) =>
      paint.table(items, [
        { head: "cli", text: (item) => item.cli },
        { head: "hooks", text: (item) => `${item.state}${item.changed === false ? ", unchanged" : ""}` },
        { head: "file", text: (item) => item.path, cut: "front" },
      ]),
  });
}

const hookFields = () => ({
  cli: field(z.array(z.enum(CLIS)).min(1).optional(), "Only these CLIs"),
  project: optionalText("Install for this project folder, not for the user", { value: "folder" }),
});

/** Where the hooks of each CLI go. */
function hookTargets({ env, cwd }: Request, { cli, project }: InputOf<typeof hookFields>): HookTarget[] {
  const scope =
    project === undefined ? { scope: "user" as const } : { scope: "project" as const, project: resolve(cwd, project) };
  return (cli ?? CLIS).map((key) => ({ cli: key, home: env["HOME"] ?? "/", env, ...scope }));
}

export const hooksInstall = defineHooksVerb("install", {
  summary: "Install hooks through which agent CLIs report to mu",
  effect: "write",
  journalled: false,
  each: installHooks,
});

export const hooksStatusOperation = defineHooksVerb("status", {
  summary: "Show whether mu's hooks are installed",
  effect: "read",
  each: hooksStatus,
});

export const hooksUninstall = defineHooksVerb("uninstall", {
  summary: "Remove mu's hooks from agent CLIs",
  effect: "write",
  journalled: false,
  each: uninstallHooks,
});
