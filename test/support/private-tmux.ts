import { mkdtempSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pollUntil, systemClock } from "../../src/clock.js";
import { type ExecOptions, execProgram } from "../../src/exec.js";
import { removeTree } from "./database.js";

/** A tmux server of its own, out of reach for every other test and for the person's own server. */
export interface PrivateTmux {
  /** A scratch folder that goes with the server. */
  folder: string;
  /** Runs one tmux command and gives what it printed; throws what tmux complains about. */
  tmux(args: readonly string[], options?: Pick<ExecOptions, "input">): Promise<string>;
  /** Opens a window that runs `command`, with only these variables, and gives its pane. */
  openPane(
    command: readonly string[],
    env?: Readonly<Record<string, string>>,
    size?: { width: number; height: number },
  ): Promise<string>;
  /** The pane's screen without the blank lines at its end. */
  screen(pane: string): Promise<string>;
  /** Waits until the screen matches; throws with the last screen when it does not. */
  seen(pane: string, pattern: RegExp): Promise<string>;
  /** Waits until a tmux format of the pane matches. */
  facts(pane: string, format: string, pattern: RegExp): Promise<string>;
  /** Pastes the way tmux does for a program that asked for brackets; without Enter. */
  paste(pane: string, text: string): Promise<void>;
  keys(pane: string, ...keys: string[]): Promise<void>;
  close(): Promise<void>;
}

const PATIENCE = { everyMs: 30, timeoutMs: Number(process.env["MU_TEST_PATIENCE_MS"] ?? 30_000) };
const SIZE = { width: 120, height: 40 };

/** Starts nothing yet: the server comes with the first pane. */
export function startPrivateTmux(): PrivateTmux {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "mu-tmux-")));
  const env = { PATH: process.env.PATH, HOME: folder, TMUX_TMPDIR: folder, LANG: "C.UTF-8", TERM: "xterm-256color" };
  const server = ["-u", "-L", "private", "-f", "/dev/null"];

  const tmux: PrivateTmux["tmux"] = async (args, options = {}) => {
    const result = await execProgram("tmux", [...server, ...args], { env, cwd: folder, ...options });
    if (result.code !== 0) throw new Error(`tmux ${args.join(" ")}: ${result.stderr || result.notStarted}`);
    return result.stdout;
  };
  const screen = async (pane: string) => (await tmux(["capture-pane", "-p", "-t", pane])).trimEnd();
  const waitFor = async (read: () => Promise<string>, pattern: RegExp) => {
    let last = "";
    const once = async () => {
      last = await read();
      return pattern.test(last) ? last : undefined;
    };
    const found = await pollUntil(systemClock, once, PATIENCE);
    if (found === undefined) throw new Error(`never saw ${pattern} in:\n${last}`);
    return found;
  };

  return {
    folder,
    tmux,
    screen,
    async openPane(command, variables = {}, { width, height } = SIZE) {
      const words = ["env", ...Object.entries(variables).map(([name, value]) => `${name}=${value}`), ...command];
      const size = ["-x", String(width), "-y", String(height)];
      const open = ["new-session", "-d", "-P", "-F", "#{pane_id}", ...size, "-c", folder, words.map(quote).join(" ")];
      const stays = [";", "set-option", "-w", "remain-on-exit", "on"];
      return (await tmux([...open, ...stays])).trim();
    },
    seen: (pane, pattern) => waitFor(() => screen(pane), pattern),
    facts: (pane, format, pattern) => waitFor(() => tmux(["display-message", "-p", "-t", pane, format]), pattern),
    async paste(pane, text) {
      await tmux(["load-buffer", "-b", "prompt", "-"], { input: text });
      await tmux(["paste-buffer", "-p", "-r", "-d", "-b", "prompt", "-t", pane]);
    },
    async keys(pane, ...keys) {
      await tmux(["send-keys", "-t", pane, ...keys]);
    },
    async close() {
      const panes = (await tmux(["list-panes", "-a", "-F", "#{pane_pid}"]).catch(() => "")).split("\n").map(Number);
      await tmux(["kill-server"]).catch(() => undefined);
      for (const pid of panes) endGroup(pid);
      await programsEnded(panes);
      removeTree(folder);
    },
  };
}

/** Programs may outlive their pane for a moment, and write into their folders meanwhile: waits for their end. */
export async function programsEnded(pids: readonly number[]): Promise<void> {
  await pollUntil(systemClock, async () => pids.every((pid) => !isAlive(pid)) || undefined, PATIENCE);
}

/** Ends a pane's program and what it has started: some outlive their terminal. */
export function endGroup(pid: number): void {
  if (pid <= 0) return;
  try {
    process.kill(-pid, "SIGTERM");
  } catch {}
}

function isAlive(pid: number): boolean {
  if (pid <= 0) return false;
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
