import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { text as readText } from "node:stream/consumers";
import { anthropicMessages } from "./anthropic-messages.js";
import { callShell, locate, type OfferedTool, type ToolCall } from "./conversation.js";
import { createGates, type Gates } from "./gates.js";
import { gemini } from "./gemini.js";
import { openaiChat } from "./openai-chat.js";
import { openaiResponses } from "./openai-responses.js";
import { type ChosenTurn, chooseTurn, type ModelScript } from "./script.js";
import { type Answer, encodeSse, type Question, type SseRecord, type Wire } from "./wire.js";

/** A scripted stand-in for the model servers that agent CLIs call. It listens on loopback only. */
export interface FakeModel {
  /** `http://127.0.0.1:<port>`; OpenAI clients want `/v1` behind it. */
  url: string;
  /** Everything that was asked, in order of arrival. */
  requests: readonly ModelRequest[];
  /** Resolves once an answer is held under this name, also when that was earlier. */
  whenHeld(name: string): Promise<void>;
  /** Lets every answer held under this name go on, now and from now on. */
  release(name: string): void;
  close(): Promise<void>;
}

interface ModelRequest {
  method: string;
  path: string;
  /** Which turn answered; undefined where no turn was needed (models, count_tokens, unknown paths). */
  label?: string;
  prompt?: string;
  earlier?: readonly string[];
  step?: number;
  toolResult?: string;
  /** Names of the tools that the client offers. */
  tools?: readonly string[];
  outcome: "open" | "answered" | "dropped" | "client left" | `http ${number}`;
}

/** Starts the server on a free port. Every turn comes from `script`; nothing waits for time to pass. */
export async function startFakeModel({ script }: { script: ModelScript }): Promise<FakeModel> {
  const requests: ModelRequest[] = [];
  const desk: Desk = { script, gates: createGates(), countdowns: new Map(), serial: 0 };
  const server = createServer(async (request, response) => {
    const entry: ModelRequest = { method: request.method ?? "", path: pathOf(request), outcome: "open" };
    requests.push(entry);
    try {
      entry.outcome = await serve(desk, entry, await readText(request), response);
    } catch (error) {
      entry.outcome = sendJson(response, 400, { error: { message: `fake model: ${String(error)}` } });
    }
  });
  const url = await listen(server);
  return {
    url,
    requests,
    whenHeld: (name) => desk.gates.at(name).reached,
    release: (name) => desk.gates.at(name).open(),
    close: () => stop(server),
  };
}

/** What outlives one request: the open gates and how often a fault is still due. */
interface Desk {
  script: ModelScript;
  gates: Gates;
  countdowns: Map<string, number>;
  serial: number;
}

type Outcome = ModelRequest["outcome"];

const WIRES: readonly Wire[] = [openaiChat, openaiResponses, anthropicMessages, gemini];

async function serve(desk: Desk, entry: ModelRequest, body: string, response: ServerResponse): Promise<Outcome> {
  const { method, path } = entry;
  if (path.endsWith(":countTokens")) return sendJson(response, 200, { totalTokens: Math.ceil(body.length / 4) });
  if (path.endsWith("/count_tokens")) return sendJson(response, 200, { input_tokens: Math.ceil(body.length / 4) });
  if (path.endsWith("/models")) return sendJson(response, 200, MODELS);
  const wire = WIRES.find((candidate) => candidate.path.test(path));
  if (method !== "POST" || !wire)
    return sendJson(response, 404, { error: { message: "not served by the fake model" } });
  return answerTurn(desk, entry, wire, wire.read(JSON.parse(body), path), response);
}

const MODELS = { object: "list", data: [{ id: "fake-1", object: "model", created: 0, owned_by: "fake" }] };

async function answerTurn(
  desk: Desk,
  entry: ModelRequest,
  wire: Wire,
  question: Question,
  response: ServerResponse,
): Promise<Outcome> {
  const moment = locate(question.utterances);
  const turn = chooseTurn(desk.script, moment, question.tools.length > 0);
  Object.assign(entry, moment, { label: turn.label, tools: question.tools.map(({ name }) => name) });
  const key = `${turn.label} ${moment.prompt}`;
  if (turn.error && isDue(desk, `error ${key}`, turn.error.times)) return sendFault(wire, turn.error, response);
  const answer = composeAnswer(desk, turn, question);
  if (!question.streams) return sendWhole(desk, turn, wire.whole(answer), response);
  const drops = turn.drop !== undefined && isDue(desk, `drop ${key}`, turn.drop.times);
  return streamAnswer(desk, { records: wire.stream(answer), hold: turn.hold, drops }, response);
}

/** Counts a fault down per prompt and step, because a retry is the same conversation once more. */
function isDue(desk: Desk, key: string, times = Number.POSITIVE_INFINITY): boolean {
  const left = desk.countdowns.get(key) ?? times;
  desk.countdowns.set(key, left - 1);
  return left > 0;
}

function sendFault(wire: Wire, error: NonNullable<ChosenTurn["error"]>, response: ServerResponse): Outcome {
  const { status, message = `scripted error ${status}`, retryAfterSeconds } = error;
  if (retryAfterSeconds !== undefined) response.setHeader("retry-after", String(retryAfterSeconds));
  return sendJson(response, status, wire.error(status, message));
}

function composeAnswer(desk: Desk, turn: ChosenTurn, { model, tools }: Question): Answer {
  const text = turn.text ?? "";
  const calls = [turn.shell ?? []].flat().map((command) => shellCall(desk, tools, command, turn.leaves));
  const output = Math.ceil((text.length + JSON.stringify(calls).length) / 4);
  return { id: newId(desk, "answer"), model, text, calls, usage: { input: 1000, cached: 0, output, ...turn.usage } };
}

function shellCall(desk: Desk, tools: readonly OfferedTool[], command: string, leaves = false): ToolCall {
  const call = callShell(tools, command, { id: newId(desk, "call"), leaves });
  if (!call) throw new Error(`no shell tool among ${tools.map(({ name }) => name).join(", ")}`);
  return call;
}

function newId(desk: Desk, kind: string): string {
  desk.serial += 1;
  return `${kind}_${String(desk.serial).padStart(12, "0")}`;
}

async function sendWhole(desk: Desk, turn: ChosenTurn, body: object, response: ServerResponse): Promise<Outcome> {
  if (turn.hold !== undefined && !(await desk.gates.pass(turn.hold, response))) return "client left";
  return sendJson(response, 200, body);
}

async function streamAnswer(
  desk: Desk,
  plan: { records: readonly SseRecord[]; hold: string | undefined; drops: boolean },
  response: ServerResponse,
): Promise<Outcome> {
  const middle = Math.floor(plan.records.length / 2);
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  await flush(response, plan.records.slice(0, middle).map(encodeSse).join(""));
  if (plan.hold !== undefined && !(await desk.gates.pass(plan.hold, response))) return "client left";
  if (plan.drops) {
    response.destroy();
    return "dropped";
  }
  response.end(plan.records.slice(middle).map(encodeSse).join(""));
  return "answered";
}

/** Resolves once the bytes have left this process, so that a cut comes after them. */
function flush(response: ServerResponse, bytes: string): Promise<void> {
  return new Promise((resolve) => response.write(bytes, () => resolve()));
}

function sendJson(response: ServerResponse, status: number, body: object): Outcome {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
  return status === 200 ? "answered" : `http ${status}`;
}

function pathOf(request: IncomingMessage): string {
  return new URL(request.url ?? "/", "http://loopback").pathname;
}

function listen(server: Server): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (address === null || typeof address === "string") return reject(new Error("no port"));
      resolve(`http://127.0.0.1:${address.port}`);
    });
  });
}

function stop(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
