import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execProgram } from "../../src/exec.js";
import { PROGRAM } from "./cli.js";
import { type PrivateTmux, privateTmux } from "./tmux.js";

/** How one run of `mu` ended. */
export interface Ran {
  code: number | null;
  out: string;
  err: string;
}

export interface RunOptions {
  env?: Record<string, string>;
  cwd?: string;
  input?: string;
}

/** The built program as a person has it: a home, a project folder, a database and a tmux server of their own. */
export interface Desk {
  server: PrivateTmux;
  home: string;
  project: string;
  /** Runs `mu` with these words. */
  mu(words: readonly string[], options?: RunOptions): Promise<Ran>;
  /** Runs `mu … --json`, which must succeed (8 is a prompt that a shell was typed), and gives what it printed. */
  json<T = Record<string, never>>(...words: string[]): Promise<T>;
  /** Runs `mu … --json`, which must fail, and gives the fault. */
  fault(...words: string[]): Promise<{ exit: number | null; code: string; message: string; details: string }>;
  end(): Promise<void>;
}

/** Starts nothing yet. `mu` is on the PATH of every pane. */
export function openDesk(): Desk {
  const server = privateTmux();
  const folder = (name: string) => {
    mkdirSync(join(server.dir, name));
    return join(server.dir, name);
  };
  const [home, project, bin] = [folder("home"), folder("project"), folder("bin")];
  const shim = `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`;
  writeFileSync(join(bin, "mu"), shim, { mode: 0o755 });
  const env = {
    ...server.env,
    PATH: `${bin}:${server.env["PATH"]}`,
    HOME: home,
    USER: "ann",
    XDG_CACHE_HOME: join(server.dir, "cache"),
    MU_STATE_DIR: join(server.dir, "state"),
  };
  const mu: Desk["mu"] = async (words, options = {}) => {
    const { code, stdout, stderr } = await execProgram(process.execPath, [PROGRAM, ...words], {
      env: { ...env, ...options.env },
      cwd: options.cwd ?? project,
      ...(options.input !== undefined && { input: options.input }),
    });
    return { code, out: stdout, err: stderr };
  };
  return {
    server,
    home,
    project,
    mu,
    async json(...words) {
      const { code, out, err } = await mu([...words, "--json"]);
      if (code !== 0 && code !== 8) throw new Error(`mu ${words.join(" ")} ended with ${code}: ${err || out}`);
      return JSON.parse(out);
    },
    async fault(...words) {
      const { code, out, err } = await mu([...words, "--json"]);
      if (code === 0) throw new Error(`mu ${words.join(" ")} was not refused: ${out}`);
      const fault = JSON.parse(err);
      return { exit: code, code: fault.code, message: fault.message, details: err };
    },
    end: () => server.dispose(),
  };
}
