import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import {
  CallToolRequestSchema,
  type CallToolResult,
  ListToolsRequestSchema,
  type Tool,
} from "@modelcontextprotocol/sdk/types.js";
import * as z from "zod";
import { type Store, withParts } from "./db/store.js";
import { bugFault, Fault } from "./errors.js";
import type { Request } from "./operations/app.js";
import { execute, type World } from "./operations/execute.js";
import { loadOperations } from "./operations/index.js";
import type { Operation } from "./operations/operation.js";
import { VERSION } from "./version.js";

/**
 * Serves every verb that needs no terminal and no standard input as a tool on standard input and output, many requests
 * at a time. It ends with its client: then the requests that are in flight are aborted.
 */
export async function serveMcp(world: World, served: Request): Promise<void> {
  const operations = new Map<string, Operation>();
  for (const operation of await loadOperations()) {
    if (!operation.standalone) operations.set(toolName(operation), operation);
  }
  const { stdin: _, terminal: __, ...offered } = served;
  const { serving, close } = serverWorld(world);
  const ended = new AbortController();
  const server = new Server({ name: "mu", version: VERSION }, { capabilities: { tools: {} } });
  const tools = [...operations.values()].filter((operation) => operation.needs === undefined).map(describeTool);
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools }));
  const running = new Set<Promise<unknown>>();
  server.setRequestHandler(CallToolRequestSchema, ({ params }, { signal }) => {
    const operation = operations.get(params.name);
    if (operation === undefined) {
      return failure(new Fault("missing", "mcp.no_such_tool", `There is no tool ${JSON.stringify(params.name)}.`));
    }
    const request = { ...offered, signal: AbortSignal.any([signal, ended.signal]) };
    const answer = call(operation, params.arguments ?? {}, serving, request);
    running.add(answer);
    void answer.finally(() => running.delete(answer));
    return answer;
  });
  await server.connect(new StdioServerTransport());
  await clientEnded(served.signal);
  await turn();
  ended.abort();
  await Promise.all(running);
  await turn();
  await server.close();
  await close();
}

/** Opens the database for each request, and keeps it open until the next: it may be replaced meanwhile. */
function serverWorld(world: World): { serving: World; close(): Promise<void> } {
  let kept: Store | undefined;
  const close = async () => kept?.close();
  const openStore = async () => {
    const store = await world.openStore();
    const keep = async () => {
      const before = kept;
      kept = store;
      await before?.close();
    };
    return withParts(store, { close: keep });
  };
  return { serving: { ...world, openStore }, close };
}

/** The end of standard input, or of who reads standard output. */
async function clientEnded(signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => {
    for (const event of ["end", "close", "error"]) process.stdin.once(event, resolve);
    process.stdout.on("error", resolve);
    signal.addEventListener("abort", resolve, { once: true });
  });
}

/** What has been read is at work after a turn of the event loop, and what was answered is written. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

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

async function call(operation: Operation, input: unknown, world: World, request: Request): Promise<CallToolResult> {
  try {
    const result = operation.output().parse(await execute(operation, input, world, request));
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
  const text = JSON.stringify(error instanceof Fault ? error : bugFault(String(error)));
  return { isError: true, content: [{ type: "text", text }] };
}
