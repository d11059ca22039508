import { readFileSync } from "node:fs";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import type { Tool } from "@modelcontextprotocol/sdk/types.js";
import { afterEach, describe, expect, it } from "vitest";
import { createMcpServer } from "../src/mcp.js";
import { execute } from "../src/operations/execute.js";
import { loadOperations } from "../src/operations/index.js";
import type { Operation } from "../src/operations/operation.js";
import { toolName } from "../src/operations/tools.js";
import { TOOL_SETS, type ToolSet } from "../src/operations/verb.js";
import { parseCommand } from "./support/command.js";
import { type Seeded, seededApp } from "./support/seeded.js";

const operations = (await loadOperations()).filter(
  ({ standalone, needs, outward }) => !standalone && !needs && !outward,
);

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of open.splice(0).reverse()) await end();
});

async function connect(set: ToolSet, app?: Seeded) {
  const seeded = app ?? (await seededApp());
  if (app === undefined) open.push(seeded.end);
  const readCommand = (words: readonly string[]) => {
    try {
      const { verb, input } = parseCommand(`mu ${words.map((word) => `'${word}'`).join(" ")}`);
      return { verb: verb.name, input };
    } catch {
      return undefined;
    }
  };
  const world = { ...seeded.world, program: { ...seeded.world.program, readCommand } };
  const { server, close } = await createMcpServer(world, seeded.request, set);
  const client = new Client({ name: "tests", version: "1" });
  const [mine, its] = InMemoryTransport.createLinkedPair();
  await Promise.all([server.connect(its), client.connect(mine)]);
  open.push(close);
  // biome-ignore lint/suspicious/noExplicitAny: tests reach into answers, and a wrong shape fails them
  const call = async (name: string, args: Record<string, unknown>): Promise<any> => {
    const { content } = await client.callTool({ name, arguments: args });
    return JSON.parse((content as [{ text: string }])[0].text);
  };
  return { client, call };
}

const toolsOf = async (set: ToolSet) => (await (await connect(set)).client.listTools()).tools;

it("a tool refuses the inputs that speak to the outside world", async () => {
  const { call } = await connect("all");
  const refused = ["mcp.outward", "mcp.outward", "mcp.outward"];
  const inputs = [{ tasks: ["done"], pr: true }, { sync: true }, { tasks: ["done"], push: true }];
  const codes = await Promise.all(inputs.map(async (input) => (await call("land", input)).code));
  expect(codes).toEqual(refused);
  expect((await call("land", { pr: false, tasks: ["nothing"] })).code).toBe("task.not_found");
});

describe("what a tool gives", () => {
  it("is said of all but those that give a list or a text", async () => {
    const silent = (await toolsOf("all")).filter((tool) => tool.outputSchema === undefined).map(({ name }) => name);
    expect(silent).toEqual(["delivery_drain", "prime", "sql"]);
  });

  it("is what was said, of one and of several", async () => {
    const app = await seededApp("with panes");
    open.push(app.end);
    const { client } = await connect("all", app);
    // From here on the client holds each answer against the schema of its tool.
    await client.listTools();
    const gives = async (name: string, args: object) => {
      const answer = await client.callTool({ name, arguments: { ...args, workstream: "demo" } });
      return answer.structuredContent;
    };
    const shell = { cli: "shell", ready: false };
    expect(await gives("agent_spawn", { name: "ada", ...shell })).toMatchObject({ agent: { name: "ada" } });
    expect(await gives("agent_spawn", { name: "bob", count: 2, ...shell })).toMatchObject({ count: 2, refused: [] });
    expect(await gives("task_close", { task: "docs" })).toMatchObject({ task: { status: "CLOSED" } });
  });
});

/** What only a program that ends something calls, and the verbs whose core function does. */
const ENDING =
  /\b(kickAgent|closeAgent|closeSpareAgents|reapIdle\w*|restartAgent|freeWorkspace|recreateWorkspace|writeSql)\(/;

describe("hints", () => {
  it("follow from what the verb is, whom it reconciles and what it ends", async () => {
    const tools = new Map((await toolsOf("all")).map((tool) => [tool.name, tool]));
    expect(tools.size).toBe(operations.length);
    let ending = 0;
    for (const operation of operations) {
      const { name, effect, reconcile } = operation;
      const { annotations } = tools.get(toolName(name)) as Tool;
      const acts = operation.acts ?? [];
      const file = name.includes(".") ? name.replace(".", "/") : name;
      const ends = ENDING.test(sourceOf(file));
      if (ends) ending++;
      if (ends) expect([name, acts]).toEqual([name, expect.arrayContaining(["ends"])]);
      const isRead = effect === "read" && reconcile === undefined && acts.length === 0;
      expect([name, annotations]).toMatchObject([
        name,
        {
          readOnlyHint: isRead,
          destructiveHint: effect === "destroy" || acts.includes("ends"),
          idempotentHint: isRead || reconcile !== undefined || operation.repeatable === true,
          openWorldHint: acts.includes("runs"),
        },
      ]);
    }
    expect(ending).toBeGreaterThanOrEqual(6);
  });

  it.each([
    ["agent_kick", { readOnlyHint: false, destructiveHint: true, idempotentHint: false }],
    ["agent_close", { readOnlyHint: false, destructiveHint: true }],
    ["agent_list", { readOnlyHint: false, destructiveHint: false, idempotentHint: true }],
    ["task_wait", { readOnlyHint: false, destructiveHint: false, idempotentHint: true }],
    ["agent_send", { readOnlyHint: false, destructiveHint: false, openWorldHint: true }],
    ["sql", { readOnlyHint: false, destructiveHint: true, idempotentHint: false }],
    ["task_delete", { readOnlyHint: false, destructiveHint: true }],
    ["task_show", { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false }],
    ["task_add", { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false }],
    ["task_close", { readOnlyHint: false, destructiveHint: false, openWorldHint: true }],
  ])("%s", async (name, hints) => {
    expect((await toolsOf("all")).find((tool) => tool.name === name)?.annotations).toMatchObject(hints);
  });

  const repeatable = operations.filter((operation) => operation.repeatable);
  it.each(repeatable.map((operation) => [operation.name, operation] as const))(
    "%s changes nothing the second time",
    async (name, operation) => {
      for (const { command } of operation.examples.filter(({ fault }) => fault === undefined)) {
        const app = await seededApp(...(name.startsWith("agent.") ? (["with panes"] as const) : []));
        open.push(app.end);
        const { input } = parseCommand(command);
        await execute(operation, input, app.world, app.request);
        const before = await contents(app);
        await execute(operation, input, app.world, app.request);
        expect([command, await contents(app)]).toEqual([command, before]);
      }
    },
  );
});

function sourceOf(file: string): string {
  try {
    return readFileSync(new URL(`../src/operations/${file}.ts`, import.meta.url), "utf8");
  } catch {
    return "";
  }
}

async function contents({ store }: Seeded): Promise<string> {
  const tables = ["workstreams", "tasks", "task_edges", "task_notes", "agents", "events"] as const;
  return JSON.stringify(await Promise.all(tables.map((table) => store.db.selectFrom(table).selectAll().execute())));
}

describe("the set", () => {
  it("worker fits into 12 kB, is part of orchestrator, and that of all", async () => {
    const [worker, orchestrator, all] = await Promise.all(TOOL_SETS.map(toolsOf));
    expect(Buffer.byteLength(JSON.stringify({ tools: worker }))).toBeLessThanOrEqual(12_000);
    expect(worker?.length).toBeGreaterThanOrEqual(12);
    expect(worker?.length).toBeLessThanOrEqual(16);
    const names = [worker, orchestrator, all].map((tools) => tools?.map(({ name }) => name) ?? []);
    expect(names[1]).toEqual(expect.arrayContaining(names[0] ?? []));
    expect(names[2]).toEqual(expect.arrayContaining(names[1] ?? []));
  });

  it.each(TOOL_SETS)("%s brings instructions that name its tools alone, and offers no other tool", async (set) => {
    const { client, call } = await connect(set);
    const { tools } = await client.listTools();
    const instructions = client.getInstructions() ?? "";
    expect(instructions.length).toBeGreaterThan(100);
    expect(instructions.length).toBeLessThan(700);
    const named = instructions.match(/\b[a-z]+_[a-z]+\b/g) ?? [];
    for (const name of named) expect(tools.map((tool) => tool.name)).toContain(name);
    expect(client.getServerCapabilities()).toEqual({ tools: {} });
    if (set === "worker")
      expect(await call("agent_kick", { agent: "bob" })).toMatchObject({ code: "mcp.no_such_tool" });
  });

  it.each(TOOL_SETS)("%s speaks of tools and fields, and has no keys of the command line", async (set) => {
    for (const tool of await toolsOf(set)) {
      const text = JSON.stringify(tool);
      expect([tool.name, text.match(/ --[a-z][a-z-]*| -w |`mu /g)]).toEqual([tool.name, null]);
      expect([
        tool.name,
        text.match(/"(short|aliases|completes|names|commas|\$schema)":|"(lines":true|scope":"(one|any|named|chain)")/g),
      ]).toEqual([tool.name, null]);
    }
  });
});

/** A text that a shell would understand, or that names a flag. */
const SHELL = /(^|[\s`'"(])(--[a-z]|-w\b|mu [a-z]+ )/;

describe("faults and next steps", () => {
  it("name tools with their arguments", async () => {
    const { call } = await connect("all");
    const added = await call("task_add", { title: "Paint it", workstream: "demo" });
    expect(added.nextSteps.length).toBeGreaterThan(0);
    for (const { tool, arguments: given } of added.nextSteps) {
      const operation = operations.find(({ name }) => toolName(name) === tool) as Operation;
      expect(operation.input().safeParse(given).error?.issues ?? []).toEqual([]);
    }
    const refused = await call("task_claim", { task: "nothing", workstream: "demo" });
    expect(refused.nextSteps).toContainEqual({
      intent: expect.any(String),
      tool: "task_list",
      arguments: { workstream: "demo" },
    });
  });

  it("of an input that is wrong name the field", async () => {
    const { call } = await connect("all");
    const wrong = await call("task_add", { title: "x", effortDays: "much", blockedBy: 7 });
    expect(wrong).toMatchObject({ code: "usage.invalid_input", nextSteps: [] });
    expect(wrong.message).toContain('effortDays is a number above 0, at most 100000, not "much"');
    expect(wrong.message).toContain("blockedBy: ");
    expect(await call("task_close", { task: "build", check: "true", noCheck: true })).toMatchObject({
      message: "Give check or noCheck, not both.",
    });
  });

  it("of every example that is refused say nothing of a shell", async () => {
    const app = await seededApp();
    open.push(app.end);
    const { call } = await connect("all", app);
    let faults = 0;
    for (const { name, examples } of operations) {
      for (const { command } of examples.filter(({ fault }) => fault !== undefined)) {
        let input: Record<string, unknown>;
        try {
          input = parseCommand(command).input;
        } catch {
          continue;
        }
        const { message = "", nextSteps = [] } = await call(toolName(name), input);
        expect([command, SHELL.exec(message)]).toEqual([command, null]);
        for (const step of nextSteps) expect(Object.keys(step)).toEqual(["intent", "tool", "arguments"]);
        faults++;
      }
    }
    expect(faults).toBeGreaterThan(60);
  });
});
