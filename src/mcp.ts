import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import {
  CallToolRequestSchema,
  type CallToolResult,
  ListToolsRequestSchema,
  type Tool,
} from "@modelcontextprotocol/sdk/types.js";
import { bugFault, Fault, knownFault } from "./errors.js";
import { quote } from "./names.js";
import type { Request } from "./operations/app.js";
import { execute, type World } from "./operations/execute.js";
import { loadOperations } from "./operations/index.js";
import type { Operation } from "./operations/operation.js";
import { serverWorld } from "./operations/serving.js";
import {
  describeTool,
  INSTRUCTIONS,
  inToolWords,
  isOffered,
  outwardFields,
  toolName,
  withNextTools,
} from "./operations/tools.js";
import type { ToolSet } from "./operations/verb.js";
import { isObject } from "./shape.js";
import { VERSION } from "./version.js";

/**
 * Serves a set of verbs as tools on standard input and output, many requests at a time. It ends with its client: then
 * the requests that are in flight are aborted.
 */
export async function serveMcp(world: World, served: Request, set: ToolSet): Promise<void> {
  const { server, close } = await createMcpServer(world, served, set);
  await server.connect(new StdioServerTransport());
  await clientEnded(served.signal);
  await turn();
  await close();
}

/** A server for one client, not yet connected. `close` aborts what is in flight, and waits for its end. */
export async function createMcpServer(world: World, served: Request, set: ToolSet) {
  const operations = new Map<string, Operation>();
  for (const { single, ...verb } of await loadOperations()) {
    const operation = single ?? verb;
    if (!operation.standalone && !operation.outward) operations.set(toolName(operation.name), operation);
  }
  const { stdin: _, terminal: __, endAtSignals: ___, ...offered } = served;
  const { serving, close } = serverWorld(world);
  const ended = new AbortController();
  const instructions = INSTRUCTIONS[set];
  const server = new Server({ name: "mu", version: VERSION }, { capabilities: { tools: {} }, instructions });
  const tools = [...operations.values()].filter((operation) => isOffered(set, operation));
  const names = new Set(tools.map(({ name }) => toolName(name)));
  const isTool = (name: string) => names.has(name);
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: tools.map((tool) => describeTool(tool, set) as Tool),
  }));
  const running = new Set<Promise<unknown>>();
  server.setRequestHandler(CallToolRequestSchema, ({ params }, { signal }) => {
    const operation = operations.get(params.name);
    if (operation === undefined || (set !== "all" && !isTool(params.name)))
      return failure(noSuchTool(params.name, set));
    const request = { ...offered, signal: AbortSignal.any([signal, ended.signal]) };
    const answer = call(operation, params.arguments ?? {}, serving, request, isTool);
    running.add(answer);
    void answer.finally(() => running.delete(answer));
    return answer;
  });
  return {
    server,
    async close() {
      ended.abort();
      await Promise.all(running);
      await turn();
      await server.close();
      await close();
    },
  };
}

function noSuchTool(name: string, set: ToolSet): Fault {
  const where = set === "all" ? "" : ` among those that this server offers (${set})`;
  return new Fault("missing", "mcp.no_such_tool", `There is no tool ${quote(name)}${where}.`);
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

async function call(
  operation: Operation,
  input: unknown,
  world: World,
  request: Request,
  isTool: (name: string) => boolean,
): Promise<CallToolResult> {
  const inTools = <T>(value: T) => withNextTools(value, world.program, isTool) as T;
  try {
    const outward = outwardFields(operation).find((name) => isObject(input) && input[name]);
    if (outward !== undefined) throw noOutside(operation.name, outward);
    const result = inTools(operation.output().parse(await execute(operation, input, world, request)));
    return {
      content: [{ type: "text", text: JSON.stringify(result) }],
      ...(isObject(result) && { structuredContent: result }),
    };
  } catch (error) {
    const fault = knownFault(error) ?? bugFault(String(error));
    return failure(inTools({ ...fault.toJSON(), message: inToolWords(fault.message, operation) }));
  }
}

function noOutside(name: string, field: string): Fault {
  const message = `Servers on the network are asked by ${field} of ${name}. Ask a person to run it in a shell.`;
  return new Fault("conflict", "mcp.outward", message);
}

const failure = (fault: unknown): CallToolResult => ({
  isError: true,
  content: [{ type: "text", text: JSON.stringify(fault) }],
});
