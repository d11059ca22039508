import { execFileSync } from "node:child_process";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadOperations } from "../src/operations/index.js";
import { type Home, newHome, PROGRAM } from "./support/cli.js";

let home: Home;
beforeEach(async () => {
  home = newHome();
  for (const line of [
    "workstream init demo",
    "task add build --title 'Build: \"it\" $(now)'",
    "task add bundle --title Bundle",
    "task add docs --title Docs --role tester",
  ]) {
    expect((await home.mu(line)).code).toBe(0);
  }
});
afterEach(() => home.end());

const isInstalled = (program: string) => {
  try {
    execFileSync(program, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
};

/** What each shell would offer behind these words; the last one is being typed. */
const SHELLS: Readonly<Record<string, (words: readonly string[]) => string>> = {
  bash: (words) => `
    eval "$(mu completion bash)"
    COMP_WORDS=(mu ${words.map(quoted).join(" ")}); COMP_CWORD=${words.length}
    $(complete -p mu | sed 's/.*-F \\([^ ]*\\).*/\\1/')
    printf '%s\\n' "\${COMPREPLY[@]}"`,
  zsh: (words) => `
    compdef() { :; }
    _describe() { local found=(\${(P)2}); print -rl -- "\${found[@]%%:*}"; }
    eval "$(mu completion zsh)"
    words=(mu ${words.map(quoted).join(" ")}); CURRENT=${words.length + 1}
    _mu`,
  fish: (words) =>
    `mu completion fish | source; complete -C ${quoted(`mu ${words.join(" ")}`)} | string replace -r '\\t.*' ''`,
};

const quoted = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;

const offeredBy =
  (shell: string) =>
  async (...words: string[]) => {
    const { stdout, stderr } = await home.sh(SHELLS[shell]?.(words) ?? "", { shell });
    expect(stderr).toBe("");
    return stdout.trim().split("\n").sort();
  };

describe.each(Object.keys(SHELLS))("%s", (shell) => {
  it("completes nouns, verbs, flags, values and names from the database", async (test) => {
    if (!isInstalled(shell)) test.skip(`${shell} is not installed`);
    const offered = offeredBy(shell);
    expect(await offered("tas")).toEqual(["task"]);
    expect(await offered("task", "cl")).toEqual(["claim", "close"]);
    expect(await offered("task", "claim", "bu")).toEqual(["build", "bundle"]);
    expect(await offered("task", "claim", "-w", "d")).toEqual(["demo"]);
    expect(await offered("task", "list", "--stat")).toEqual(["--status"]);
    expect(await offered("task", "list", "--status", "C")).toEqual(["CLOSED"]);
    expect(await offered("completion", "z")).toEqual(["zsh"]);
  });

  it("completes a word that is still empty: names, values, workstreams, and the next name of a list", async (test) => {
    if (!isInstalled(shell)) test.skip(`${shell} is not installed`);
    const offered = offeredBy(shell);
    const tasks = ["build", "bundle", "docs"];
    expect(await offered("task", "close", "")).toEqual(tasks);
    expect(await offered("task", "close", "docs", "--check", "true", "--evidence", "x", "")).toEqual(tasks);
    expect(await offered("agent", "spawn", "bob", "--access", "")).toEqual(["full", "read-only"]);
    expect(await offered("-w", "")).toEqual(["demo"]);
    expect(await offered("-w", "demo", "task", "show", "")).toEqual(tasks);
    expect(await offered("task", "wait", "docs,b")).toEqual(["docs,build", "docs,bundle"]);
    expect(await offered("task", "wait", "docs,build,")).toEqual(["docs,build,bundle"]);
    expect(await offered("task", "list", "--status", "OPEN,C")).toEqual(["OPEN,CLOSED"]);
    expect(await offered("task", "claim", "--role", "")).toEqual(["tester"]);
    expect(await offered("task", "list", "--tail", "--")).toContain("--status");
  });
});

it("completes the value of a flag behind an equals sign, which bash makes a word of its own", async () => {
  const offered = async (words: string[]) => {
    const { items } = (await home.mu(["complete", "--json", "--", ...words])).json();
    return items.map(({ value }: { value: string }) => value);
  };
  expect(await offered(["task", "list", "--sort=r"])).toEqual(["--sort=ready", "--sort=roi", "--sort=recency"]);
  expect(await offered(["task", "list", "--sort", "=", "ro"])).toEqual(["roi"]);
  expect(await offered(["task", "list", "--status", "="])).toContain("OPEN");
});

describe("mu mcp", () => {
  let client: Client;
  beforeEach(async () => {
    client = new Client({ name: "tests", version: "1" });
    const { env, project: cwd } = home;
    await client.connect(new StdioClientTransport({ command: process.execPath, args: [PROGRAM, "mcp"], env, cwd }));
  });
  afterEach(() => client.close());

  it("tells who it is and has a tool for every verb that needs no terminal", async () => {
    expect(client.getServerVersion()).toMatchObject({ name: "mu" });
    const { tools } = await client.listTools();
    const verbs = (await loadOperations()).filter(
      ({ standalone, needs, outward }) => !standalone && !needs && !outward,
    );
    expect(tools.map((tool) => tool.name).sort()).toEqual(verbs.map((verb) => verb.name.replace(/[.-]/g, "_")).sort());
    for (const tool of tools) {
      expect(tool.inputSchema.type).toBe("object");
      expect(tool.description).toBeTruthy();
      expect(tool.annotations?.readOnlyHint).toBeTypeOf("boolean");
    }
  });

  it("runs verbs, and tells faults as errors with their code", async () => {
    await client.listTools();
    const added = await client.callTool({
      name: "task_add",
      arguments: { name: "launch", title: "Launch", workstream: "demo" },
    });
    expect(added.structuredContent).toMatchObject({ task: { name: "launch", status: "OPEN" } });
    const claimed = await client.callTool({ name: "task_claim", arguments: { task: "launch" } });
    expect(claimed.structuredContent).toMatchObject({ task: { owner: "ann" }, changed: true });
    const rows = await client.callTool({
      name: "sql",
      arguments: { query: "select name from tasks where owner_id is not null" },
    });
    expect(rows.content).toEqual([{ type: "text", text: '[{"name":"launch"}]' }]);

    for (const [call, code] of [
      [{ name: "task_claim", arguments: { task: "nothing" } }, "task.not_found"],
      [{ name: "task_claim", arguments: { task: 7, colour: "red" } }, "usage.invalid_input"],
      [{ name: "task_conquer", arguments: {} }, "mcp.no_such_tool"],
    ] as const) {
      const refused = await client.callTool(call);
      const [{ text }] = refused.content as [{ text: string }];
      expect([refused.isError, JSON.parse(text).code]).toEqual([true, code]);
    }
    expect((await home.mu("audit verify --tables")).code).toBe(0);
  });
});

it("mu mcp bears what is no JSON, and ends with its input", async () => {
  const request = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "me", arguments: {} } };
  const input = `nonsense\n{"jsonrpc":"2.0"}\n[]\n\u0000\n${JSON.stringify(request)}\n`;
  const { code, stdout, stderr } = await home.mu("mcp", { input });
  expect([code, stderr]).toEqual([0, ""]);
  const answers = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(answers.find((answer) => answer.id === 1).result.structuredContent.name).toBe("ann");
});
