import type { Host } from "../../host.js";
import { AGENT_CLIS } from "./table.js";

/** An agent CLI that is installed, and the versions that mu's rules for its screen were made with. */
export interface InstalledCli {
  cli: string;
  version: string;
  seenWith: readonly string[];
}

/** A CLI that takes longer than this (ms) to say its version is left out. */
const PATIENCE_MS = 10_000;

/** The agent CLIs in the PATH that say a version. One that `$MU_<KEY>_COMMAND` replaces is not asked. */
export async function installedClis({ exec, env }: Pick<Host, "exec" | "env">): Promise<InstalledCli[]> {
  const asked = Object.values(AGENT_CLIS).map(async ({ key, command, seenWith }) => {
    if (seenWith === undefined || env[`MU_${key.toUpperCase()}_COMMAND`]) return [];
    const { stdout, stderr } = await exec(command, ["--version"], { timeoutMs: PATIENCE_MS });
    const version = /\d+\.\d+\.\d+/.exec(stdout || stderr)?.[0];
    return version === undefined ? [] : [{ cli: key, version, seenWith }];
  });
  return (await Promise.all(asked)).flat();
}
