import { Fault } from "../../errors.js";
import { claudeHooks } from "./claude.js";
import { codexHooks } from "./codex.js";
import type { HookCli, HookKit } from "./kit.js";
import { opencodeHooks } from "./opencode.js";
import { piHooks } from "./pi.js";

/** What mu installs, by the CLI's key. Other CLIs report nothing; their screens tell. */
export const HOOK_KITS: Readonly<Record<HookCli, HookKit>> = {
  claude: claudeHooks,
  pi: piHooks,
  opencode: opencodeHooks,
  codex: codexHooks,
};

/** The kit of that CLI, or undefined where there is none. */
export function findHookKit(cli: string): HookKit | undefined {
  return Object.values(HOOK_KITS).find((kit) => kit.cli === cli);
}

/** The install of that CLI that stays; a CLI without one is `hooks.unsupported`. */
export function getLastingHooks(cli: string): NonNullable<HookKit["lasting"]> {
  const lasting = findHookKit(cli)?.lasting;
  if (lasting) return lasting;
  const known = Object.values(HOOK_KITS).filter((kit) => kit.lasting);
  const keys = known.map((kit) => kit.cli).join(", ");
  throw new Fault("usage", "hooks.unsupported", `mu installs no hooks for "${cli}"; it does for ${keys}`);
}
