import { spawnSync } from "node:child_process";
import type { Exec } from "../exec.js";

/** Runs programs for a process with nothing else to do meanwhile: it loads neither a library nor streams, which take longer than git. */
export const execAlone: Exec = async (file, args, { cwd, env, input, timeoutMs } = {}) => {
  const options = { cwd, input, timeout: timeoutMs, maxBuffer: Number.POSITIVE_INFINITY, encoding: "utf8" as const };
  const { status, error, stdout, stderr } = spawnSync(file, args, { ...options, ...(env && { env }) });
  const why = (error as NodeJS.ErrnoException | undefined)?.code;
  const timedOut = why === "ETIMEDOUT";
  const notStarted = why === undefined || timedOut ? {} : { notStarted: why };
  return { code: status, stdout: stdout ?? "", stderr: stderr ?? "", timedOut, ...notStarted };
};
