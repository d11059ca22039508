import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { DRAIN_COMMAND, HOOK_MARK, hookLine, muLine, PRIME_COMMAND } from "../../src/agents/clis/hook-kit.js";
import { AGENT_CLIS } from "../../src/agents/clis/table.js";
import {
  agentEventsFile,
  type HookTarget,
  hooksStatus,
  installHooks,
  uninstallHooks,
} from "../../src/agents/hooks/install.js";
import { prepareSpool, readSpool, spoolPath } from "../../src/agents/spool.js";
import { eventually } from "../support/tmux.js";

const root = mkdtempSync(join(tmpdir(), "mu-hooks-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let count = 0;
function newHome(): string {
  const home = join(root, String(++count));
  mkdirSync(home);
  return home;
}

const claudeAt = (home: string): HookTarget => ({ cli: "claude", home, scope: "user" });
const settingsOf = (home: string): string => join(home, ".claude", "settings.json");

function writeSettings(home: string, text: string | Uint8Array): string {
  mkdirSync(join(home, ".claude"), { recursive: true });
  writeFileSync(settingsOf(home), text);
  return settingsOf(home);
}

const LASTING = Object.values(AGENT_CLIS).filter(({ hooks }) => hooks?.lasting);

test.each(LASTING)("$key: hooks are installed once, seen, and removed without a trace", async ({ key: cli }) => {
  for (const scope of [{ scope: "user" as const }, { scope: "project" as const, project: newHome() }]) {
    const target: HookTarget = { cli, home: newHome(), ...scope };
    expect(await hooksStatus(target)).toMatchObject({ cli, state: "absent" });
    const first = await installHooks(target);
    expect(first).toMatchObject({ state: "installed", changed: true });
    expect(first.path.startsWith("project" in scope ? scope.project : target.home)).toBe(true);
    const text = readFileSync(first.path, "utf8");
    expect(text).toContain(HOOK_MARK);
    expect(await installHooks(target)).toMatchObject({ state: "installed", changed: false });
    expect(readFileSync(first.path, "utf8")).toBe(text);
    expect(await hooksStatus(target)).toMatchObject({ state: "installed", path: first.path });
    expect(await uninstallHooks(target)).toMatchObject({ state: "absent", changed: true });
    expect(existsSync(first.path)).toBe(false);
    expect(readdirSync(dirname(first.path))).toEqual([]);
    expect(await uninstallHooks(target)).toMatchObject({ state: "absent", changed: false });
  }
});

test.each([
  ["claude", "CLAUDE_CONFIG_DIR", "settings.json"],
  ["pi", "PI_CODING_AGENT_DIR", "extensions/mu.ts"],
  ["opencode", "XDG_CONFIG_HOME", "opencode/plugins/mu.js"],
] as const)("%s: %s moves the user's install", async (cli, variable, file) => {
  const moved = newHome();
  const target: HookTarget = { cli, home: newHome(), env: { [variable]: moved }, scope: "user" };
  expect((await installHooks(target)).path).toBe(join(moved, file));
});

test.each(["codex", "gemini", "shell"] as const)("%s: there is nothing to install for good", async (cli) => {
  await expect(installHooks({ cli, home: newHome(), scope: "user" })).rejects.toMatchObject({
    code: "hooks.unsupported",
    kind: "usage",
  });
});

test.each(["pi", "opencode"] as const)("%s: a file of someone else is neither overwritten nor removed", async (cli) => {
  const target: HookTarget = { cli, home: newHome(), scope: "user" };
  const { path } = await hooksStatus(target);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, "export default () => {}\n");
  await expect(installHooks(target)).rejects.toMatchObject({ code: "hooks.file_taken", kind: "conflict" });
  expect(await uninstallHooks(target)).toMatchObject({ changed: false });
  expect(readFileSync(path, "utf8")).toBe("export default () => {}\n");
});

const key = fc.oneof(
  fc.string({ maxLength: 8 }),
  fc.constantFrom("model", "permissions", "env", "__proto__", "hooks "),
);
const userHandler = fc.record({ type: fc.constant("command"), command: fc.string(), timeout: fc.nat(60) });
const userGroup = fc.oneof(
  fc.record({ hooks: fc.array(userHandler, { maxLength: 2 }) }),
  fc.record({ matcher: fc.string({ maxLength: 5 }), hooks: fc.array(userHandler, { maxLength: 2 }) }),
  fc.jsonValue({ maxDepth: 1 }),
);
const event = fc.oneof(
  fc.constantFrom("Stop", "SessionStart", "PreToolUse", "SubagentStop"),
  fc.string({ maxLength: 5 }),
);
const hooks = fc.dictionary(event, fc.array(userGroup, { maxLength: 3 }), { maxKeys: 4 });
const settings = fc
  .tuple(
    fc.dictionary(key, fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 }),
    fc.option(hooks, { nil: undefined }),
    fc.boolean(),
  )
  .map(([rest, own, first]) => {
    if (own === undefined) return rest;
    return first ? { hooks: own, ...rest } : { ...rest, hooks: own };
  });
/** The same settings as someone may have written them: indented, with tabs, CRLF, a BOM, blanks in odd places. */
const settingsText = fc
  .tuple(
    settings,
    fc.constantFrom(undefined, 1, 2, 4, "\t"),
    fc.constantFrom("", "\n", "\n\n  "),
    fc.constantFrom(0, 1, 2, 3),
  )
  .map(([value, indent, end, way]) => {
    const text = JSON.stringify(value, null, indent) + end;
    if (way === 1) return text.replace(/\n/g, "\r\n");
    if (way === 2) return `\ufeff${text}`;
    return way === 3 ? text.replace(/^\{\}/, "{ \n }") : text;
  });

const claudeEdit = AGENT_CLIS.claude.hooks?.lasting?.edit;
if (!claudeEdit) throw new Error("claude has no install");

test("claude: an install taken out again leaves any settings byte for byte as they were", () => {
  fc.assert(
    fc.property(settingsText, (text) => {
      const installed = claudeEdit.add(text, "settings.json");
      expect(claudeEdit.inspect(installed, "settings.json")).toBe("installed");
      expect(claudeEdit.add(installed, "settings.json")).toBe(installed);
      expect(claudeEdit.strip(installed, "settings.json")).toBe(text);
    }),
    { numRuns: 100 },
  );
});

test("claude: an install adds to what the user has and changes none of it", () => {
  fc.assert(
    fc.property(settingsText, (text) => {
      const parse = (json: string) => JSON.parse(json.replace("\ufeff", ""));
      const [before, after] = [parse(text), parse(claudeEdit.add(text, "settings.json"))];
      for (const [name, value] of Object.entries(before)) if (name !== "hooks") expect(after[name]).toEqual(value);
      for (const [name, groups] of Object.entries(before.hooks ?? {})) {
        expect(after.hooks[name].slice(0, (groups as unknown[]).length)).toEqual(groups);
      }
    }),
  );
});

test("claude: settings that Claude Code wrote anew in between lose the hooks and nothing else", () => {
  fc.assert(
    fc.property(settings, fc.constantFrom(undefined, 2), (value, indent) => {
      const installed = JSON.stringify(JSON.parse(claudeEdit.add(JSON.stringify(value), "s")), null, indent);
      const left = claudeEdit.strip(installed, "s");
      expect(left ?? "{}").not.toContain("mu-hooks");
      const { hooks: _mine, ...rest } = JSON.parse(left ?? "{}");
      const { hooks: _theirs, ...wanted } = JSON.parse(JSON.stringify(value));
      expect(rest).toEqual(wanted);
    }),
  );
});

test("claude: an install of another version is replaced, the user's hooks around it stay", async () => {
  const home = newHome();
  const stop = { hooks: [{ type: "command", command: "say done" }] };
  const old = {
    hooks: [
      { type: "command", command: ": mu-hooks 0; exit 0" },
      { type: "command", command: "mine" },
    ],
  };
  writeSettings(home, JSON.stringify({ hooks: { Stop: [stop, old] } }));
  expect(await hooksStatus(claudeAt(home))).toMatchObject({ state: "outdated" });
  await installHooks(claudeAt(home));
  await uninstallHooks(claudeAt(home));
  expect(JSON.parse(readFileSync(settingsOf(home), "utf8"))).toEqual({
    hooks: { Stop: [stop, { hooks: [{ type: "command", command: "mine" }] }] },
  });
});

test.each([
  ["comments", '{\n  // mine\n  "model": "x"\n}'],
  ["a trailing comma", '{"model": "x",}'],
  ["nothing", ""],
  ["a list", "[]"],
  ["hooks that are a list", '{"hooks": []}'],
  ["an event that is no list", '{"hooks": {"Stop": {}}}'],
  ["bytes that are no text", Uint8Array.from([0x7b, 0xff, 0x7d])],
])("claude: settings with %s are refused and left alone", async (_what, text) => {
  const home = newHome();
  const path = writeSettings(home, text);
  const before = readFileSync(path);
  for (const act of [installHooks, uninstallHooks, hooksStatus]) {
    await expect(act(claudeAt(home))).rejects.toMatchObject({ kind: "usage", code: "hooks.settings_unreadable" });
  }
  expect(readFileSync(path)).toEqual(before);
});

test("a symbolic link stays one, and its file keeps its mode", async () => {
  const home = newHome();
  mkdirSync(join(home, ".claude"));
  mkdirSync(join(home, "dotfiles"));
  writeFileSync(join(home, "dotfiles", "claude.json"), '{"model": "x"}');
  chmodSync(join(home, "dotfiles", "claude.json"), 0o640);
  symlinkSync("../dotfiles/claude.json", settingsOf(home));
  await installHooks(claudeAt(home));
  expect(lstatSync(settingsOf(home)).isSymbolicLink()).toBe(true);
  expect(statSync(settingsOf(home)).mode & 0o777).toBe(0o640);
  expect(await hooksStatus(claudeAt(home))).toMatchObject({ state: "installed" });
  await uninstallHooks(claudeAt(home));
  expect(lstatSync(settingsOf(home)).isSymbolicLink()).toBe(true);
  expect(readFileSync(settingsOf(home), "utf8")).toBe('{"model": "x"}');
  expect(readdirSync(join(home, "dotfiles"))).toEqual(["claude.json"]);
});

test("links in a circle are refused", async () => {
  const home = newHome();
  mkdirSync(join(home, ".claude"));
  symlinkSync("settings.json", settingsOf(home));
  await expect(installHooks(claudeAt(home))).rejects.toMatchObject({ code: "hooks.settings_unreadable" });
});

const sh = (line: string, env: Record<string, string>, input = "{}") =>
  spawnSync("sh", ["-c", line], { input, env: { PATH: "/usr/bin:/bin", ...env }, encoding: "utf8" });

test.each([PRIME_COMMAND, DRAIN_COMMAND])(
  "%s: where mu is missing or fails, its hook is silent and succeeds",
  (command) => {
    const bin = newHome();
    expect(sh(muLine(command), { MU_AGENT_ID: "7" })).toMatchObject({ status: 0, stdout: "", stderr: "" });
    writeFileSync(join(bin, "mu"), '#!/bin/sh\necho "$@"; cat; echo oops >&2; exit 5\n', { mode: 0o755 });
    const env = { PATH: `${bin}:/usr/bin:/bin` };
    expect(sh(muLine(command), env)).toMatchObject({ status: 0, stdout: "", stderr: "" });
    const ran = sh(muLine(command), { ...env, MU_AGENT_ID: "7" }, '{"stop_hook_active":false}');
    expect(ran).toMatchObject({ status: 0, stderr: "" });
    expect(ran.stdout).toBe(`${command.slice("mu ".length)}\n{"stop_hook_active":false}`);
  },
);

test("only the start of a session and the end of a turn wait for mu", () => {
  const { hooks } = JSON.parse(AGENT_CLIS.claude.hooks?.agentFile.text ?? "");
  const waiting = Object.keys(hooks).filter((name) =>
    /&& mu [^&]*2>\/dev\/null; exit 0/.test(JSON.stringify(hooks[name])),
  );
  expect(waiting).toEqual(["SessionStart", "Stop"]);
  for (const [name, [group]] of Object.entries<[{ hooks: { command: string }[] }]>(hooks)) {
    expect(group.hooks[0]?.command.startsWith(hookLine(name).replace(/exit 0$/, ""))).toBe(true);
  }
});

test("a hook has the border drawn again where it says something else, and never waits for that", async () => {
  const bin = newHome();
  const [calls, stateDir] = [join(bin, "calls"), newHome()];
  writeFileSync(join(bin, "tmux"), '#!/bin/sh\necho "$BORDER"\n', { mode: 0o755 });
  writeFileSync(join(bin, "mu"), `#!/bin/sh\necho "$@" >> ${calls}\n`, { mode: 0o755 });
  const line = hookLine("UserPromptSubmit", "busy");
  const env = { PATH: `${bin}:/usr/bin:/bin`, MU_STATE_DIR: stateDir, MU_AGENT_ID: "7", TMUX_PANE: "%1" };
  for (const [quiet, from] of [
    [{ ...env, BORDER: "busy" }, "the border that is right"],
    [{ ...env, TMUX_PANE: "", BORDER: "idle" }, "outside tmux"],
    [{ ...env, MU_AGENT_ID: "", BORDER: "idle" }, "outside mu"],
  ] as const) {
    expect(sh(line, quiet), from).toMatchObject({ status: 0, stdout: "", stderr: "" });
  }
  expect(sh(line, { ...env, BORDER: "idle" })).toMatchObject({ status: 0, stdout: "", stderr: "" });
  await eventually(
    "mu was called once",
    async () => existsSync(calls) && readFileSync(calls, "utf8") === "agent refresh\n",
  );
});

test("an agent's own file is written once, and its spool's folder is there", async () => {
  const stateDir = newHome();
  for (const cli of ["claude", "pi", "codex"] as const) {
    const path = await agentEventsFile(AGENT_CLIS[cli], { stateDir });
    expect(readFileSync(path ?? "", "utf8")).toBe(AGENT_CLIS[cli].hooks?.agentFile.text);
    const written = statSync(path ?? "").ino;
    expect(await agentEventsFile(AGENT_CLIS[cli], { stateDir })).toBe(path);
    expect(statSync(path ?? "").ino).toBe(written);
  }
  expect(statSync(join(stateDir, "spool")).mode & 0o777).toBe(0o700);
  expect(await agentEventsFile(AGENT_CLIS.gemini, { stateDir })).toBeUndefined();
});

test("opencode gets its plugin only where it can load one without the network", async () => {
  const [stateDir, home] = [newHome(), newHome()];
  expect(await agentEventsFile(AGENT_CLIS.opencode, { stateDir, home })).toBeUndefined();
  mkdirSync(join(home, ".config/opencode/node_modules/@opencode-ai/plugin"), { recursive: true });
  writeFileSync(join(home, ".config/opencode/node_modules/@opencode-ai/plugin/package.json"), "{}");
  expect(await agentEventsFile(AGENT_CLIS.opencode, { stateDir, home })).toBe(join(stateDir, "hooks/opencode.js"));
});

test("codex's notify program appends its argument", async () => {
  const stateDir = newHome();
  const program = await agentEventsFile(AGENT_CLIS.codex, { stateDir });
  const payload = { type: "agent-turn-complete", "input-messages": ["it's\n$HOME `x` ✓"] };
  const env = { PATH: "/usr/bin:/bin", MU_AGENT_ID: "7", MU_STATE_DIR: stateDir };
  expect(spawnSync(program ?? "", [JSON.stringify(payload)], { env, encoding: "utf8" })).toMatchObject({
    ...{ status: 0, stdout: "", stderr: "" },
  });
  expect((await readSpool(spoolPath(stateDir, 7))).events).toMatchObject([{ event: "notify", payload }]);
});

/** Runs an extension in a node of its own, as the agent's process would be: `script` gets its module as `it`. */
function runExtension(text: string, script: string, env: Record<string, string>) {
  const folder = newHome();
  writeFileSync(join(folder, "it.mjs"), text);
  const code = `import * as it from ${JSON.stringify(pathToFileURL(join(folder, "it.mjs")).href)};\n${script}`;
  return spawnSync(process.execPath, ["--input-type=module", "-e", code], {
    env: { PATH: `${folder}:/usr/bin:/bin`, HOME: folder, ...env },
    encoding: "utf8",
  });
}

const FAKE_PI = `
  const handlers = {};
  const said = [];
  const pi = {
    on: (name, handler) => { (handlers[name] ??= []).push(handler); },
    sendMessage: (...args) => said.push(["message", ...args]),
    sendUserMessage: (...args) => said.push(["user", ...args]),
  };
  const ctx = { hasUI: true, ui: { setTitle: (t) => said.push(["title", t]) }, sessionManager: { getSessionFile: () => "/s.jsonl" } };
  const fire = (name, event) => handlers[name].map((handler) => handler({ type: name, ...event }, ctx));
`;

test("pi's extension reports a turn, and returns nothing that could change it", async () => {
  const stateDir = newHome();
  await prepareSpool(stateDir);
  const ran = runExtension(
    AGENT_CLIS.pi.hooks?.agentFile.text ?? "",
    `${FAKE_PI}
    it.default(pi);
    it.default(pi);
    const results = [
      fire("session_start", { reason: "startup" }),
      fire("input", { text: "a\\n\\tb", source: "interactive" }),
      fire("agent_start", {}),
      fire("tool_execution_start", { toolName: "bash" }),
      fire("agent_end", { messages: [{ role: "assistant", stopReason: "error", errorMessage: "429" }, { role: "toolResult" }] }),
      fire("session_shutdown", { reason: "quit" }),
    ].flat();
    console.log(results.every((result) => result === undefined));`,
    { MU_AGENT_ID: "7", MU_STATE_DIR: stateDir },
  );
  expect(ran).toMatchObject({ status: 0, stdout: "true\n", stderr: "" });
  const { events } = await readSpool(spoolPath(stateDir, 7));
  expect(
    events.filter((event) => event.event !== "session_start").map((event) => [event.event, event.payload]),
  ).toEqual([
    ["input", { text: "a\n\tb", source: "interactive" }],
    ["agent_start", { session: "/s.jsonl" }],
    ["tool_execution_start", { tool: "bash" }],
    ["agent_end", { stop: "error", error: "429" }],
    ["session_shutdown", { reason: "quit" }],
  ]);
});

test.each([
  ["idle", true, {}],
  ["at work", false, { deliverAs: "nextTurn" }],
])("pi's extension primes a conversation that is %s, and pulls a delivery at its turn's end", async (_, idle, when) => {
  const [stateDir, bin] = [newHome(), newHome()];
  await prepareSpool(stateDir);
  const mu = `#!/bin/sh\ncase $1 in prime) echo "you are w";; *) echo '{"decision":"block","reason":"next task"}';; esac\n`;
  writeFileSync(join(bin, "mu"), mu, { mode: 0o755 });
  const ran = runExtension(
    AGENT_CLIS.pi.hooks?.agentFile.text ?? "",
    `${FAKE_PI}
    it.default(pi);
    ctx.isIdle = () => ${idle};
    fire("session_start", { reason: "startup" });
    fire("agent_end", { messages: [{ role: "assistant", stopReason: "stop" }] });
    process.on("exit", () => console.log(JSON.stringify(said)));`,
    { MU_AGENT_ID: "7", MU_AGENT: "w", MU_STATE_DIR: stateDir, PATH: `${bin}:/usr/bin:/bin` },
  );
  const said: unknown[][] = JSON.parse(ran.stdout);
  expect(said).toContainEqual(["title", "w"]);
  expect(said).toContainEqual(["message", { customType: "mu", content: "you are w\n", display: true }, when]);
  expect(said).toContainEqual(["user", "next task", { deliverAs: "followUp" }]);
});

test.each([
  ["outside a mu pane", {}],
  ["in a CLI that the agent started itself", { MU_AGENT_ID: "7", MU_REPORTER: "7:1" }],
  ["where the id is no word", { MU_AGENT_ID: "../x" }],
])("pi's extension registers nothing %s", async (_where, env) => {
  const ran = runExtension(
    AGENT_CLIS.pi.hooks?.agentFile.text ?? "",
    `${FAKE_PI} it.default(pi); console.log(Object.keys(handlers).length);`,
    env,
  );
  expect(ran).toMatchObject({ status: 0, stdout: "0\n", stderr: "" });
});

test("pi's extension outlives a stale context, a missing mu and a pi that knows none of its events", async () => {
  const stateDir = newHome();
  await prepareSpool(stateDir);
  const ran = runExtension(
    AGENT_CLIS.pi.hooks?.agentFile.text ?? "",
    `${FAKE_PI}
    it.default({ on: () => { throw new Error("unknown event"); } });
    it.default(pi);
    const stale = new Proxy({}, { get: () => { throw new Error("stale ctx"); } });
    for (const list of Object.values(handlers)) for (const handler of list) handler({ messages: [] }, stale);
    fire("session_start", {});
    fire("agent_end", { messages: [{ role: "assistant", stopReason: "stop" }] });`,
    { MU_AGENT_ID: "7", MU_AGENT: "w", MU_STATE_DIR: stateDir },
  );
  expect(ran).toMatchObject({ status: 0, stderr: "" });
});

test("opencode's plugin reports states and prompts, once", async () => {
  const stateDir = newHome();
  await prepareSpool(stateDir);
  const ran = runExtension(
    AGENT_CLIS.opencode.hooks?.agentFile.text ?? "",
    `const plugin = await it.MuPlugin({});
    console.log(Object.keys(await it.MuPlugin({})).length);
    await plugin.event({ event: { type: "session.status", properties: { sessionID: "s", status: { type: "busy" } } } });
    await plugin.event({ event: { type: "message.part.updated", properties: { text: "noise" } } });
    const parts = [{ type: "text", text: "go on" }, { type: "text", text: "hidden", synthetic: true }, { type: "file" }];
    await plugin["chat.message"]({ sessionID: "s" }, { parts });`,
    { MU_AGENT_ID: "7", MU_STATE_DIR: stateDir },
  );
  expect(ran).toMatchObject({ status: 0, stdout: "0\n", stderr: "" });
  expect((await readSpool(spoolPath(stateDir, 7))).events.map((found) => [found.event, found.payload])).toEqual([
    ["session.status", { sessionID: "s", status: { type: "busy" } }],
    ["chat.message", { sessionID: "s", text: "go on" }],
  ]);
});
