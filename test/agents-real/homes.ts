import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AGENT_CLI_FOLDER, type RealCli } from "../../scripts/install-agent-clis.js";
import { QUIET } from "../../scripts/loopback.js";

/** A real agent CLI that is set up to talk to the fake model and to nobody else. */
export interface AgentHome {
  /** The program to start in a pane. */
  command: readonly string[];
  /** What it needs in its environment; `HOME` is a folder of its own. */
  env: Readonly<Record<string, string>>;
  /** On the screen once it takes prompts. */
  ready: RegExp;
}

/** Some CLIs ask before they use an unknown key; this one is approved below. It opens nothing. */
const API_KEY = "dummy";
const MODEL = "fake-1";

/** What stands in the dialog that asks for a permission; pi has none. */
export const DIALOGS: Readonly<Partial<Record<RealCli, RegExp>>> = {
  claude: /Do you want to proceed\?/,
  codex: /Would you like to run/,
  gemini: /Allow execution of/,
  opencode: /Permission required/,
};

/** Writes a home for pi into `folder`. pi asks no permissions and no questions at its start. `retries`: see its own settings. */
export function writePiHome(
  folder: string,
  { modelUrl, theme, retries = true }: { modelUrl: string; theme?: string; retries?: boolean },
): AgentHome {
  const agent = join(folder, ".pi", "agent");
  writeJson(join(agent, "models.json"), {
    providers: {
      fake: {
        baseUrl: `${modelUrl}/v1`,
        api: "openai-completions",
        apiKey: API_KEY,
        models: [
          {
            id: MODEL,
            name: "Fake model",
            reasoning: false,
            input: ["text"],
            contextWindow: 128_000,
            maxTokens: 8_000,
            cost: { input: 1, output: 5, cacheRead: 0.1, cacheWrite: 1.25 },
          },
        ],
      },
    },
  });
  writeJson(join(agent, "settings.json"), {
    defaultProvider: "fake",
    defaultModel: MODEL,
    enableInstallTelemetry: false,
    quietStartup: true,
    retry: { enabled: retries },
    ...(theme && { theme }),
  });
  return { command: [programOf("pi")], env: { ...QUIET, HOME: folder }, ready: new RegExp(`${MODEL}\\s*$`) };
}

/**
 * Writes a home for Claude Code into `folder`. Without the onboarding mark it wants the internet and exits, without
 * the key's approval and the project's trust it starts with dialogs whose default is no. Its default permission mode
 * checks commands on Anthropic's server, which does not exist here, so it gets the mode without a server, in
 * which every command that may change something opens the permission dialog, but for those that `allow` names.
 */
export function writeClaudeHome(
  folder: string,
  options: { modelUrl: string; project: string; allow: readonly string[]; theme?: string },
): AgentHome {
  writeJson(join(folder, ".claude.json"), {
    hasCompletedOnboarding: true,
    theme: options.theme ?? "dark",
    autoUpdates: false,
    customApiKeyResponses: { approved: [API_KEY], rejected: [] },
    projects: { [options.project]: { hasTrustDialogAccepted: true, allowedTools: [] } },
  });
  writeJson(join(folder, ".claude", "settings.json"), { permissions: { allow: options.allow } });
  const command = [programOf("claude"), "--permission-mode", "manual"];
  const env = { ...QUIET, HOME: folder, ANTHROPIC_BASE_URL: options.modelUrl, ANTHROPIC_API_KEY: API_KEY };
  return { command, env, ready: /\? for shortcuts|shift\+tab/ };
}

/** Writes a home for Codex into `folder`. It asks only for what its sandbox forbids, such as leaving the project. */
export function writeCodexHome(
  folder: string,
  { modelUrl, project }: { modelUrl: string; project: string },
): AgentHome {
  const config = `model = "${MODEL}"
model_provider = "fake"
check_for_update_on_startup = false
approval_policy = "on-request"
sandbox_mode = "workspace-write"

[model_providers.fake]
name = "Fake"
base_url = "${modelUrl}/v1"
wire_api = "responses"
env_key = "FAKE_API_KEY"
request_max_retries = 1
stream_max_retries = 1

[analytics]
enabled = false

[projects."${project}"]
trust_level = "trusted"

[tui]
screen_reader_detection_done = true
`;
  mkdirSync(join(folder, ".codex"), { recursive: true });
  writeFileSync(join(folder, ".codex", "config.toml"), config);
  const env = { ...QUIET, HOME: folder, FAKE_API_KEY: API_KEY };
  return { command: [programOf("codex")], env, ready: /› / };
}

/** Writes a home for Gemini CLI into `folder`. It asks before every command but the programs in `allow`. */
export function writeGeminiHome(
  folder: string,
  { modelUrl, theme, allow = [] }: { modelUrl: string; theme?: string; allow?: readonly string[] },
): AgentHome {
  writeJson(join(folder, ".gemini", "settings.json"), {
    general: { enableAutoUpdate: false, enableAutoUpdateNotification: false },
    privacy: { usageStatisticsEnabled: false },
    telemetry: { enabled: false },
    security: { auth: { selectedType: "gemini-api-key" }, folderTrust: { enabled: false } },
    tools: { sandbox: false },
    ...(theme && { ui: { theme } }),
  });
  const rules = allow.map(
    (program) =>
      `[[rule]]\ntoolName = "run_shell_command"\ncommandPrefix = "${program}"\ndecision = "allow"\npriority = 100\n`,
  );
  mkdirSync(join(folder, ".gemini", "policies"));
  writeFileSync(join(folder, ".gemini", "policies", "allow.toml"), rules.join("\n"));
  const env = { ...QUIET, HOME: folder, TMPDIR: folder, GEMINI_API_KEY: API_KEY, GOOGLE_GEMINI_BASE_URL: modelUrl };
  return { command: [programOf("gemini")], env, ready: /Type your message/ };
}

/**
 * Writes a home for OpenCode into `folder`. It asks before every command but the programs in `allow`. `fetched`: with what
 * OpenCode fetches by itself at its first start with a network, and needs to load plugins.
 */
export function writeOpencodeHome(
  folder: string,
  {
    modelUrl,
    theme,
    allow = [],
    fetched = true,
  }: { modelUrl: string; theme?: string; allow?: readonly string[]; fetched?: boolean },
): AgentHome {
  const config = join(folder, ".config", "opencode");
  if (fetched) writePluginPackage(config);
  writeJson(join(config, "opencode.json"), {
    autoupdate: false,
    share: "disabled",
    model: `fake/${MODEL}`,
    small_model: `fake/${MODEL}`,
    permission: { bash: { "*": "ask", ...Object.fromEntries(allow.map((program) => [`${program} *`, "allow"])) } },
    ...(theme && { theme }),
    provider: {
      fake: {
        npm: "@ai-sdk/openai-compatible",
        name: "Fake",
        options: { baseURL: `${modelUrl}/v1`, apiKey: API_KEY },
        models: { [MODEL]: { name: "Fake model", limit: { context: 128_000, output: 8_000 } } },
      },
    },
  });
  return { command: [programOf("opencode")], env: { ...QUIET, HOME: folder }, ready: /Ask anything/ };
}

/** It fetches its package again where package-lock.json does not name it. */
function writePluginPackage(config: string): void {
  const name = "@opencode-ai/plugin";
  const wanted = { dependencies: { [name]: "*" } };
  writeJson(join(config, "package.json"), wanted);
  writeJson(join(config, "package-lock.json"), { lockfileVersion: 3, packages: { "": wanted } });
  const path = join(config, "node_modules", name);
  mkdirSync(join(path, ".."), { recursive: true });
  symlinkSync(join(AGENT_CLI_FOLDER, "node_modules", name), path);
}

function programOf(name: string): string {
  return join(AGENT_CLI_FOLDER, "node_modules", ".bin", name);
}

function writeJson(path: string, value: object): void {
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
}
