import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import {
  CallToolRequestSchema,
  type CallToolResult,
  ListToolsRequestSchema,
  type Tool,
} from "@modelcontextprotocol/sdk/types.js";
import * as z from "zod";
import { Fault } from "./errors.js";
import { execute, type World } from "./operations/execute.js";
import { loadOperations } from "./operations/index.js";
import type { Operation } from "./operations/operation.js";
import { VERSION } from "./version.js";

/** Serves every verb as a tool on standard input and output, until the other side closes them. */
export async function serveMcp(world: World): Promise<void> {
  const operations = new Map<string, Operation>();
  for (const operation of await loadOperations()) {
    if (!operation.standalone) operations.set(toolName(operation), operation);
  }
  const server = new Server({ name: "mu", version: VERSION }, { capabilities: { tools: {} } });
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: [...operations.values()].map(describeTool) }));
  const running = new Set<Promise<unknown>>();
  server.setRequestHandler(CallToolRequestSchema, ({ params }) => {
    const operation = operations.get(params.name);
    if (operation === undefined) return failure(noSuchTool(params.name));
    const answer = call(operation, params.arguments ?? {}, world);
    running.add(answer);
    void answer.finally(() => running.delete(answer));
    return answer;
  });
  await server.connect(new StdioServerTransport());
  await inputEnded(world.io.signal);
  await Promise.all(running);
  await server.close();
}

/** The end of standard input; what has been read of it is at work by then. */
async function inputEnded(signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => {
    process.stdin.once("end", resolve);
    signal.addEventListener("abort", resolve, { once: true });
  });
  await new Promise((resolve) => setImmediate(resolve));
}

/** `task.claim` as a tool: `task_claim`. */
function toolName(operation: Operation): string {
  return operation.name.replaceAll(".", "_").replaceAll("-", "_");
}

function describeTool(operation: Operation): Tool {
  const output = z.toJSONSchema(operation.output(), { unrepresentable: "any" });
  return {
    name: toolName(operation),
    description: [`${operation.summary}.`, operation.description ?? ""].join(" ").trim(),
    inputSchema: z.toJSONSchema(operation.input(), { io: "input" }) as Tool["inputSchema"],
    ...(output["type"] === "object" && { outputSchema: output as NonNullable<Tool["outputSchema"]> }),
    annotations: {
      readOnlyHint: operation.effect === "read",
      destructiveHint: operation.effect === "destroy",
    },
  };
}

async function call(operation: Operation, input: unknown, world: World): Promise<CallToolResult> {
  try {
    const result = operation.output().parse(await execute(operation, input, world));
    const isObject = typeof result === "object" && result !== null && !Array.isArray(result);
    return {
      content: [{ type: "text", text: JSON.stringify(result) }],
      ...(isObject && { structuredContent: result as Record<string, unknown> }),
    };
  } catch (error) {
    return failure(error);
  }
}

function failure(error: unknown): CallToolResult {
  const fault =
    error instanceof Fault ? error : new Fault("internal", "internal.bug", `mu met a bug of its own: ${String(error)}`);
  const { kind, code, message, nextSteps, exitCode, details } = fault;
  const text = JSON.stringify({ error: kind, code, message, nextSteps, exitCode, ...details });
  return { isError: true, content: [{ type: "text", text }] };
}

function noSuchTool(name: string): Fault {
  return new Fault("missing", "mcp.no_such_tool", `There is no tool ${JSON.stringify(name)}.`);
}
