import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { AGENT_CLI_FOLDER } from "../../scripts/install-agent-clis.js";
import { pollUntil, systemClock } from "../../src/clock.js";
import { type ExecResult, execProgram } from "../../src/exec.js";
import { type FakeModel, startFakeModel } from "../fake-model/server.js";
import { programsEnded } from "../support/private-tmux.js";
import { writeClaudeHome, writeCodexHome, writeGeminiHome, writeOpencodeHome, writePiHome } from "./homes.js";
import { script } from "./turns.js";

/** A person's crew of real agent CLIs: home, state, tmux server and model are its own, and mu is the built program. */
export interface RealCrew {
  model: FakeModel;
  /** The project's folder; agents work here. */
  project: string;
  /** Runs `mu <words> --json` as a person would; throws where it does not exit with `code`: 0 without it, any if undefined. */
  mu(words: readonly string[], options?: { code?: number | undefined; timeoutMs?: number }): Promise<Json>;
  /** Looks until `mu agent list` says that the agent is `wanted`; fails with its screen after a minute. */
  becomes(agent: string, wanted: string): Promise<{ at: number; reason: string }>;
  /** Looks at the agent's screen until it matches, for a minute without `timeoutMs`, and gives the moment. */
  shows(agent: string, pattern: RegExp, timeoutMs?: number): Promise<number>;
  /** tmux as a person types it, on the crew's server. */
  tmux(...args: string[]): Promise<string>;
  /** Keys as a person presses them in the agent's pane. */
  press(agent: string, ...keys: string[]): Promise<void>;
  screen(agent: string): Promise<string>;
  /** The process in the agent's pane. */
  program(agent: string): Promise<number>;
  /** Ends the agent's program, as a crash would. */
  kill(agent: string): Promise<void>;
  close(): Promise<void>;
}

// biome-ignore lint/suspicious/noExplicitAny: the answers of many verbs, read by the assertions of a story
export type Json = any;

const MAIN = fileURLToPath(new URL("../../dist/main.cjs", import.meta.url));
const PATIENCE = { everyMs: 50, timeoutMs: 60_000 };

/** Starts the model and writes the homes; tmux comes with the first agent. */
export async function openRealCrew(): Promise<RealCrew> {
  const folder = realpathSync(mkdtempSync("/tmp/mu-real-"));
  const project = join(folder, "shop");
  const model = await startFakeModel({ script });
  const env = writeWorld(folder, project, model.url);

  const run = (words: readonly string[], timeoutMs = 120_000) =>
    execProgram(process.execPath, [MAIN, ...words, "--json"], { env, cwd: project, timeoutMs });
  const tmux: RealCrew["tmux"] = async (...args) =>
    (await execProgram("tmux", ["-u", "-L", "real", ...args], { env })).stdout;
  const mu: RealCrew["mu"] = async (words, options = {}) => {
    const { code, timeoutMs } = { code: 0, ...options };
    const result = await run(words, timeoutMs);
    if (code !== undefined && result.code !== code) throw new Error(`mu ${words.join(" ")} gave ${told(result)}`);
    return JSON.parse(result.stdout || result.stderr);
  };
  const paneOf = async (name: string, fact = "pane_id") =>
    (await tmux("list-panes", "-a", "-f", `#{==:#{@mu_agent},${name}}`, "-F", `#{${fact}}`)).trim();
  const program: RealCrew["program"] = async (name) => Number(await paneOf(name, "pane_pid"));
  const screen: RealCrew["screen"] = async (name) =>
    (await tmux("capture-pane", "-p", "-t", await paneOf(name))).trimEnd();

  return {
    model,
    project,
    mu,
    tmux,
    screen,
    program,
    async becomes(name, wanted) {
      let last: Json;
      const once = async () => {
        const { items } = await mu(["agent", "list", "-w", "shop"]);
        last = items.find((one: Json) => one.name === name);
        return last?.status === wanted ? last : undefined;
      };
      const found = await pollUntil(systemClock, once, PATIENCE);
      if (found === undefined) {
        throw new Error(`${name} is not ${wanted} but ${last?.status} (${last?.statusReason}):\n${await screen(name)}`);
      }
      return { at: Date.now(), reason: found.statusReason };
    },
    async shows(name, pattern, timeoutMs = PATIENCE.timeoutMs) {
      const once = async () => (pattern.test(await screen(name)) ? Date.now() : undefined);
      const found = await pollUntil(systemClock, once, { ...PATIENCE, timeoutMs });
      if (found === undefined) throw new Error(`${name} does not show ${pattern}:\n${await screen(name)}`);
      return found;
    },
    async kill(name) {
      process.kill(await program(name), "SIGKILL");
    },
    async press(name, ...keys) {
      await tmux("send-keys", "-t", await paneOf(name), ...keys);
    },
    async close() {
      const pids = (await tmux("list-panes", "-a", "-F", "#{pane_pid}")).split("\n").map(Number);
      await tmux("kill-server");
      await programsEnded(pids);
      await model.close();
      rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
    },
  };
}

function told({ code, stdout, stderr }: ExecResult): string {
  return `exit ${code}: ${stderr || stdout}`;
}

/** The folders of the crew, and the environment of everything that runs in it. */
function writeWorld(folder: string, project: string, modelUrl: string): Record<string, string> {
  const bin = join(folder, "bin");
  const home = join(folder, "home");
  for (const path of [bin, home, project]) mkdirSync(path);
  const shim = join(bin, "mu");
  writeFileSync(shim, `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
  chmodSync(shim, 0o755);
  const claude = writeClaudeHome(home, { modelUrl, project, allow: ["Bash(mu:*)"] });
  const homes = [
    writePiHome(home, { modelUrl }),
    claude,
    writeCodexHome(home, { modelUrl, project }),
    writeGeminiHome(home, { modelUrl, allow: ["mu"] }),
    writeOpencodeHome(home, { modelUrl, allow: ["mu"] }),
  ];
  const clis = join(AGENT_CLI_FOLDER, "node_modules", ".bin");
  const path = [bin, clis, dirname(process.execPath), process.env["PATH"]].join(":");
  // Codex runs commands in a login shell, for which /etc/profile sets PATH anew.
  writeFileSync(join(home, ".profile"), `export PATH='${path}'\n`);
  return {
    ...Object.assign({}, ...homes.map(({ env }) => env)),
    MU_CLAUDE_COMMAND: claude.command.join(" "),
    PATH: path,
    USER: "ann",
    SHELL: "/bin/sh",
    TERM: "xterm-256color",
    LANG: "C.UTF-8",
    TMUX_TMPDIR: folder,
    MU_TMUX_SOCKET: "real",
    MU_STATE_DIR: join(folder, "state"),
  };
}
