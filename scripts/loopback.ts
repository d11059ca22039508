/**
 * Runs the real agent CLIs where nothing but loopback exists, so that a test can neither depend on the network nor
 * tell anybody about itself.
 */
import { type Exec, execProgram } from "../src/exec.js";

/** What a program inside finds in its environment: `loopback`, or `open` where the namespace is not allowed. */
export const NETWORK_VARIABLE = "MU_TEST_NETWORK";

export interface Confinement {
  network: "loopback" | "open";
  /** The words to put before a command. */
  prefix: readonly string[];
  /** Environment for the command: which network it has, and the switches against telemetry and updates. */
  env: Readonly<Record<string, string>>;
}

/**
 * Finds out how a command can be kept on loopback here: as root in a network namespace, else with a user namespace
 * around it. Where the system allows neither, only the switches remain.
 */
export async function confineToLoopback(exec: Exec = execProgram): Promise<Confinement> {
  for (const unshare of [
    ["unshare", "-n"],
    ["unshare", "-r", "-n"],
  ]) {
    const prefix = [...unshare, "sh", "-c", 'ip link set lo up && exec "$@"', "loopback"];
    const [program = "", ...args] = prefix;
    const { code } = await exec(program, [...args, "true"]);
    if (code === 0) return { network: "loopback", prefix, env: { ...QUIET, [NETWORK_VARIABLE]: "loopback" } };
  }
  return { network: "open", prefix: [], env: { ...QUIET, [NETWORK_VARIABLE]: "open" } };
}

/** What keeps the agent CLIs from calling home. */
export const QUIET: Readonly<Record<string, string>> = {
  PI_OFFLINE: "1",
  PI_TELEMETRY: "0",
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
  DISABLE_TELEMETRY: "1",
  DISABLE_ERROR_REPORTING: "1",
  DISABLE_AUTOUPDATER: "1",
  GEMINI_TELEMETRY_ENABLED: "false",
  OPENCODE_DISABLE_AUTOUPDATE: "1",
  OPENCODE_DISABLE_MODELS_FETCH: "1",
  OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
  OPENCODE_DISABLE_DEFAULT_PLUGINS: "1",
  OPENCODE_DISABLE_SHARE: "1",
};
