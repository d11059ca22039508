import { mkdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../errors.js";
import { SETTINGS_FILE } from "../project/read.js";
import type { ProjectSettings } from "../project/settings.js";

type Environment = Readonly<Record<string, string | undefined>>;
export type AuthMode = ProjectSettings["auth"]["mode"];

/** How Claude Code signs in for a run. */
export interface SignIn {
  mode: Exclude<AuthMode, "auto">;
  /** Changes to its environment; undefined takes a variable away. */
  env: Environment;
  /** It needs a configuration of its own with these credentials; see `isolateConfig`. */
  credentials: string | null;
  /** Whether the dollars that it reports are billed; under a subscription they are its own estimate. */
  isBilled: boolean;
  warning: string | null;
}

/** Where Claude Code keeps its credentials, unless they are in the Keychain of macOS. */
export function credentialsPath(env: Environment): string {
  return join(env["CLAUDE_CONFIG_DIR"] || join(env["HOME"] ?? "", ".claude"), ".credentials.json");
}

/**
 * How a run signs in. `auto` takes the API key, then a subscription's token or credentials file, then the user's own
 * configuration, with a warning: that loads plugins, hooks and skills. Faults `auth.no_key`, `auth.no_credentials`.
 */
export function signInOf(mode: AuthMode, env: Environment, { hasCredentials }: { hasCredentials: boolean }): SignIn {
  const hasKey = Boolean(env["ANTHROPIC_API_KEY"] || env["ANTHROPIC_AUTH_TOKEN"]);
  const hasToken = Boolean(env["CLAUDE_CODE_OAUTH_TOKEN"]);
  if (mode === "api" || (mode === "auto" && hasKey)) {
    if (!hasKey) throw missing("auth.no_key", "There is no ANTHROPIC_API_KEY.", "Set ANTHROPIC_API_KEY");
    return { mode: "api", env: ALWAYS, credentials: null, isBilled: true, warning: null };
  }
  if (mode === "subscription" || (mode === "auto" && (hasToken || hasCredentials))) {
    if (!hasToken && !hasCredentials) {
      throw missing(
        "auth.no_credentials",
        `There is no ${credentialsPath(env)}.`,
        "Sign in, or set auth.mode to inherit",
      );
    }
    const credentials = hasToken ? null : credentialsPath(env);
    return { mode: "subscription", env: { ...ALWAYS, ...NO_KEYS }, credentials, isBilled: false, warning: null };
  }
  return {
    mode: "inherit",
    env: ALWAYS,
    credentials: null,
    isBilled: hasKey,
    warning: mode === "auto" ? INHERITED : null,
  };
}

/** Nobody answers a question of git's, and no run speaks to Linear. */
const ALWAYS: Environment = { GIT_TERMINAL_PROMPT: "0", LINEAR_API_KEY: undefined };
const NO_KEYS: Environment = { ANTHROPIC_API_KEY: undefined, ANTHROPIC_AUTH_TOKEN: undefined };

const INHERITED =
  "No API key and no credentials file were found: the run uses your own Claude configuration, with its plugins, hooks and skills.";

/**
 * Makes `folder` a configuration of Claude Code with nothing but credentials, and gives its environment. They stay where
 * they are and are never read: a refreshed token is written through the link.
 */
export async function isolateConfig(folder: string, credentials: string): Promise<Environment> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const link = join(folder, ".credentials.json");
  await rm(link, { force: true });
  await symlink(credentials, link);
  return { CLAUDE_CONFIG_DIR: folder };
}

function missing(code: string, message: string, intent: string): Fault {
  return new Fault("conflict", code, message, [{ intent, command: `\${EDITOR:-vi} ${SETTINGS_FILE}` }]);
}
