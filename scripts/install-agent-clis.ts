/**
 * Installs the real agent CLIs that `npm run test:agents` drives, from the npm registry, into `.cache/agent-clis`.
 * They are no dependencies of mu: half a gigabyte for one suite. The versions are the last ones that run on Node 20.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execProgram } from "../src/exec.js";

/** A real agent CLI that the suite can drive. */
export type RealCli = "pi" | "claude" | "codex" | "gemini" | "opencode";

type Packages = Readonly<Record<string, string>>;

const PACKAGES: Readonly<Record<RealCli, Packages>> = {
  pi: { "@earendil-works/pi-coding-agent": "0.74.2" },
  claude: { "@anthropic-ai/claude-code": "2.1.329" },
  codex: { "@openai/codex": "0.169.0" },
  gemini: { "@google/gemini-cli": "0.61.0" },
  // OpenCode fetches the second one itself, where there is a network.
  opencode: { "opencode-ai": "1.18.33", "@opencode-ai/plugin": "1.18.33" },
};

/** Those that also run in every check of the project; `--all` runs all five. */
export const EVERY_TIME: readonly RealCli[] = ["pi", "claude"];
export const ALL_CLIS = Object.keys(PACKAGES) as RealCli[];

/** The version of a CLI that is installed. */
export function versionOf(cli: RealCli): string {
  const [name = ""] = Object.keys(PACKAGES[cli]);
  return installedVersion(AGENT_CLI_FOLDER, name) ?? "not installed";
}

/** The folder with the installed CLIs, `$MU_AGENT_CLIS` where other versions are there; their programs are in `node_modules/.bin` below it. */
export const AGENT_CLI_FOLDER =
  process.env["MU_AGENT_CLIS"] ?? fileURLToPath(new URL("../.cache/agent-clis", import.meta.url));

export interface Installation {
  state: "present" | "installed" | "failed";
  /** One line for a person. */
  line: string;
}

/** Installs what is missing of these. A registry that cannot be reached is an answer, not a throw. */
export async function installAgentClis(
  clis: readonly RealCli[] = EVERY_TIME,
  folder: string = AGENT_CLI_FOLDER,
): Promise<Installation> {
  const packages: Packages = Object.assign({}, ...clis.map((cli) => PACKAGES[cli]));
  if (missingPackages(packages, folder).length === 0) return { state: "present", line: `agent CLIs are in ${folder}` };
  const unreachable = await whyUnreachable();
  if (unreachable !== undefined) return { state: "failed", line: `agent CLIs not installed: ${unreachable}` };
  writeManifest(packages, folder);
  const npm = await execProgram(
    "npm",
    ["install", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1"],
    {
      cwd: folder,
      timeoutMs: 15 * 60_000,
    },
  );
  const missing = missingPackages(packages, folder);
  if (npm.code === 0 && missing.length === 0) return { state: "installed", line: `agent CLIs installed in ${folder}` };
  return { state: "failed", line: `agent CLIs not installed (${missing.join(", ")}): ${reasonOf(npm)}` };
}

/**
 * One small question to the registry, so that a network that swallows everything costs seconds and not an hour. It
 * has a cache of its own: npm would answer it from the user's.
 */
async function whyUnreachable(): Promise<string | undefined> {
  const cache = mkdtempSync(join(tmpdir(), "mu-npm-"));
  const switches = ["--cache", cache, "--fetch-retries=0", "--fetch-timeout=20000", "--loglevel=error"];
  const words = ["view", ...switches, "npm", "name"];
  const npm = await execProgram("npm", words, { timeoutMs: 40_000 });
  rmSync(cache, { recursive: true, force: true, maxRetries: 5 });
  if (npm.code === 0) return undefined;
  return npm.timedOut ? "the npm registry cannot be reached (no answer)" : reasonOf(npm);
}

function missingPackages(packages: Packages, folder: string): string[] {
  return Object.entries(packages)
    .filter(([name, version]) => installedVersion(folder, name) !== version)
    .map(([name]) => name);
}

function installedVersion(folder: string, name: string): string | undefined {
  try {
    const manifest: { version?: string } = JSON.parse(
      readFileSync(join(folder, "node_modules", name, "package.json"), "utf8"),
    );
    return manifest.version;
  } catch {
    return undefined;
  }
}

/**
 * Asks npm for these, beside what is there. Claude Code and OpenCode link their native program in a postinstall script,
 * which newer npms run only when told to.
 */
function writeManifest(packages: Packages, folder: string): void {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, "package.json");
  const before: { dependencies?: Packages } = existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : {};
  const dependencies = { ...before.dependencies, ...packages };
  const allowScripts = { "@anthropic-ai/claude-code": true, "opencode-ai": true };
  writeFileSync(path, `${JSON.stringify({ private: true, dependencies, allowScripts }, null, 2)}\n`);
}

const NO_REGISTRY = /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH)\b/;

function reasonOf(npm: { stderr: string; timedOut: boolean }): string {
  const code = NO_REGISTRY.exec(npm.stderr)?.[1];
  if (code !== undefined) return `the npm registry cannot be reached (${code})`;
  if (npm.timedOut) return "npm took longer than 15 minutes";
  return npm.stderr.trim().split("\n")[0] ?? "npm failed without a word";
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { state, line } = await installAgentClis(process.argv.includes("--all") ? ALL_CLIS : EVERY_TIME);
  console.log(line);
  if (state === "failed") process.exitCode = 5;
}
