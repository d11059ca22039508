import { basename } from "node:path";
import { isShell } from "../screen/verdict.js";
import type { AgentCli, AgentCliKey } from "./cli.js";
import { AGENT_CLIS, getAgentCli } from "./table.js";

type Environment = Readonly<Record<string, string | undefined>>;

/** Programs that run another one, which stands behind their options and assignments. */
const RUNNERS = new Set(
  "env exec command nice nohup time setsid npx bunx node nodejs bun deno python python3".split(" "),
);
/** What runs behind these is not in this machine's process list, or not on this terminal. */
const REMOTE = new Set("ssh mosh-client docker podman kubectl sudo su tmux screen script".split(" "));

/** The agent CLI that a command line starts, also behind launchers, an interpreter or its package's own path. */
export function cliOfWords(words: readonly string[], env: Environment): AgentCliKey | undefined {
  const program = programWord(words);
  const name = PACKAGE.exec(program)?.[1]?.split("-", 1)[0] ?? nameOf(program);
  if (name === "" || isShell(name) || hidesProgram(name)) return undefined;
  const clis = Object.values(AGENT_CLIS).filter(({ key }) => key !== "shell" && key !== "command");
  const overriding = ({ key }: AgentCli) => programName(wordsOf(env[overrideName(key)] ?? ""));
  return clis.find((cli) => cli.command === name || overriding(cli) === name)?.key;
}

/** Whether a program of this name does not say what runs in its pane. */
export function hidesProgram(name: string): boolean {
  return RUNNERS.has(name) || REMOTE.has(name);
}

/** The name of the program that a command line is about: that of the script where an interpreter runs one. */
export function programName(words: readonly string[]): string {
  return nameOf(programWord(words)) || nameOf(words[0] ?? "");
}

/** A command line as words, as far as no quotes are in the way. */
export function wordsOf(commandLine: string): string[] {
  return commandLine.replace(/["']/g, "").trim().split(/\s+/);
}

/** The first word that is the program itself: not what runs it, nor an option or assignment before it. */
function programWord(words: readonly string[]): string {
  const at = words.findIndex((word) => !ASSIGNMENT.test(word) && !RUNNERS.has(nameOf(word)));
  const word = words[at] ?? "";
  return at > 0 && /^-|^\d+$/.test(word) ? programWord(words.slice(at + 1)) : word;
}

const ASSIGNMENT = /^[A-Za-z_]\w*=/;

/** The npm packages of the agent CLIs are named after them. */
const PACKAGE = /\/node_modules\/(?:@[^/]+\/)?(claude-code|codex|gemini-cli|opencode-ai|pi-coding-agent)\//;

/** The variable with the command of a CLI; with it any key is one. */
export function overrideName(key: string): string {
  return `MU_${key.toUpperCase()}_COMMAND`;
}

/** The CLI of a key: where only its variable knows it, the one whose program that command runs. Faults `cli.unknown`. */
export function resolveCli(key: string, env: Environment): AgentCli {
  const command = Object.hasOwn(AGENT_CLIS, key) ? undefined : env[overrideName(key)];
  return getAgentCli(command ? (cliOfWords(wordsOf(command), {}) ?? "command") : key);
}

/** `-bash` is a login shell; a script's extension is not part of its name. */
function nameOf(path: string): string {
  return basename(path.replace(/^-/, "")).replace(/\.(?:[cm]?js|exe|py)$/, "");
}
