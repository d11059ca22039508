import { existsSync } from "node:fs";
import { join } from "node:path";
import { Fault } from "../../errors.js";
import { writeWhole } from "../../whole-file.js";
import type { AgentCli, AgentCliKey } from "../clis/cli.js";
import type { HookKit, HookPlace, HookScope, HookState } from "../clis/hook-kit.js";
import { AGENT_CLIS, getAgentCli } from "../clis/table.js";
import { prepareSpool } from "../spool.js";
import { readText, replaceText } from "./settings-file.js";

/** Whose hooks, and where. */
export type HookTarget = { cli: AgentCliKey } & HookPlace & HookScope;

export interface HookReport {
  cli: AgentCliKey;
  path: string;
  state: HookState;
}

/**
 * Installs the hooks for all sessions of a user or a project and keeps the user's own settings. `changed` is
 * false when they were installed before. Settings that are not plain JSON are `hooks.settings_unreadable`, a file of
 * that name that is not mu's is `hooks.file_taken`.
 */
export async function installHooks(target: HookTarget): Promise<HookReport & { changed: boolean }> {
  const { path, text, edit } = await open(target);
  const after = edit.add(text, path);
  await replaceText(path, text, after);
  return { cli: target.cli, path, state: edit.inspect(after, path), changed: after !== text };
}

/** Removes the hooks: the file is byte for byte what it was before the install. */
export async function uninstallHooks(target: HookTarget): Promise<HookReport & { changed: boolean }> {
  const { path, text, edit } = await open(target);
  const after = edit.strip(text, path);
  await replaceText(path, text, after);
  return { cli: target.cli, path, state: "absent", changed: after !== text };
}

export async function hooksStatus(target: HookTarget): Promise<HookReport> {
  const { path, text, edit } = await open(target);
  return { cli: target.cli, path, state: edit.inspect(text, path) };
}

async function open(target: HookTarget) {
  const { project, user, edit } = getLastingHooks(target.cli);
  const path = target.scope === "project" ? `${target.project}/${project}` : user(target);
  return { path, text: await readText(path), edit };
}

/**
 * Writes the file that `LaunchOptions.eventsFile` names, and makes the folder that the agent's spool will be in.
 * Undefined for a CLI that reports nothing, or that could not load the file here (OpenCode without its package).
 */
export async function agentEventsFile(
  { hooks: kit }: Pick<AgentCli, "hooks">,
  options: { stateDir: string } & Partial<HookPlace>,
): Promise<string | undefined> {
  if (!kit) return undefined;
  const needed = kit.needs?.({ home: "/", ...options });
  if (needed !== undefined && !existsSync(needed)) return undefined;
  await prepareSpool(options.stateDir);
  const path = join(options.stateDir, "hooks", kit.agentFile.name);
  const mode = kit.agentFile.executable ? 0o700 : 0o600;
  if ((await readText(path)) !== kit.agentFile.text) await writeWhole(path, kit.agentFile.text, mode);
  return path;
}

/** The CLI's lasting install; a CLI without one is `hooks.unsupported`. */
function getLastingHooks(cli: AgentCliKey): NonNullable<HookKit["lasting"]> {
  const lasting = getAgentCli(cli).hooks?.lasting;
  if (lasting) return lasting;
  const known = Object.values(AGENT_CLIS).filter(({ hooks }) => hooks?.lasting);
  const keys = known.map(({ key }) => key).join(", ");
  throw new Fault("usage", "hooks.unsupported", `mu cannot install hooks for "${cli}"; supported are ${keys}.`);
}
