import { afterEach, describe, expect, test } from "vitest";
import type { ModelScript } from "./script.js";
import { type FakeModel, startFakeModel } from "./server.js";

const script: ModelScript = {
  conversations: [
    {
      when: /RUN: (.+)/,
      turns: [
        ({ captures }) => ({ text: "I run it.", shell: captures[1] ?? "true" }),
        ({ toolResult }) => ({ text: `It printed ${toolResult}.` }),
      ],
    },
    { when: /TWO/, turns: [{ shell: ["first", "second"] }] },
    { when: /BUSY/, turns: [{ error: { status: 429, times: 2, retryAfterSeconds: 1 }, text: "Now it works." }] },
    { when: /BROKEN/, turns: [{ error: { status: 500, message: "out of order" } }] },
    { when: /WAIT/, turns: [{ text: "first half, second half", hold: "gate" }] },
    { when: /CUT/, turns: [{ text: "a sentence that is cut in the middle", drop: { times: 1 } }] },
  ],
  otherwise: { text: "Nothing to do." },
};

let model: FakeModel;
afterEach(() => model.close());

const start = async () => {
  model = await startFakeModel({ script });
};

const post = (path: string, body: object) =>
  fetch(`${model.url}${path}`, { method: "POST", body: JSON.stringify(body) });

/** Sends `messages` with the shell tool that the client of this wire offers, and reads the answer out of the stream. */
type Ask = (messages: readonly object[], options?: { stream?: boolean; tools?: object[] }) => Promise<Response>;

interface Reply {
  text: string;
  calls: { name: string; input: unknown }[];
  finish: string;
  usage: { input: number; cached: number; output: number };
}

const bash = { type: "object", properties: { command: { type: "string" }, description: { type: "string" } } };
const person = (content: unknown) => ({ role: "user", content });

const wires = {
  openai: {
    ask: ((
      messages,
      { stream = true, tools = [{ type: "function", function: { name: "bash", parameters: bash } }] } = {},
    ) => post("/v1/chat/completions", { model: "m", stream, messages, tools })) as Ask,
    read: readChat,
    whole: (content: string) => ({ choices: [{ message: { content }, finish_reason: "stop" }] }),
    result: (output: string) => [
      { role: "assistant", content: null, tool_calls: [] },
      { role: "tool", tool_call_id: "x", content: output },
    ],
    finishes: { text: "stop", calls: "tool_calls" },
  },
  anthropic: {
    ask: ((messages, { stream = true, tools = [{ name: "Bash", input_schema: bash }] } = {}) =>
      post("/v1/messages?beta=true", { model: "m", stream, messages, tools })) as Ask,
    read: readMessages,
    whole: (text: string) => ({ content: [{ type: "text", text }], stop_reason: "end_turn" }),
    result: (output: string) => [
      { role: "assistant", content: [{ type: "tool_use", id: "x", name: "Bash", input: {} }] },
      person([
        { type: "tool_result", tool_use_id: "x", content: [{ type: "text", text: output }] },
        { type: "text", text: "<system-reminder>RUN: nothing</system-reminder>" },
      ]),
    ],
    finishes: { text: "end_turn", calls: "tool_use" },
  },
  responses: {
    ask: ((messages, { stream = true, tools = [{ type: "function", name: "bash", parameters: bash }] } = {}) =>
      post("/v1/responses", { model: "m", stream, input: messages, tools })) as Ask,
    read: readResponses,
    whole: (text: string) => ({ output: [{ type: "message", content: [{ text }] }], status: "completed" }),
    result: (output: string) => [
      { type: "function_call", call_id: "x", name: "bash", arguments: "{}" },
      { type: "function_call_output", call_id: "x", output },
      person("<environment_context>RUN: nothing</environment_context>"),
    ],
    finishes: { text: "completed", calls: "completed" },
  },
  gemini: {
    ask: ((messages, { stream = true, tools = [{ name: "bash", parametersJsonSchema: bash }] } = {}) =>
      post(`/v1beta/models/m:${stream ? "streamGenerateContent?alt=sse" : "generateContent"}`, {
        contents: messages.map(asContent),
        tools: tools.length === 0 ? [] : [{ functionDeclarations: tools }],
      })) as Ask,
    read: readGemini,
    whole: (text: string) => ({ candidates: [{ content: { parts: [{ text }] }, finishReason: "STOP" }] }),
    result: (output: string) => [
      { role: "model", parts: [{ functionCall: { name: "bash", args: {} } }] },
      { role: "user", parts: [{ functionResponse: { name: "bash", response: { output } } }] },
    ],
    finishes: { text: "STOP", calls: "STOP" },
  },
};

/** A message in the form of the other wires. */
function asContent(message: object) {
  if (!("content" in message)) return message;
  const { role, content } = message as { role: string; content: unknown };
  return { role: role === "assistant" ? "model" : role, parts: [{ text: content }] };
}

describe.each(Object.entries(wires))("a model that speaks %s", (_name, wire) => {
  const say = async (text: string): Promise<Reply> => wire.read(await (await wire.ask([person(text)])).text());

  test("streams a text", async () => {
    await start();
    const reply = await say("hello");
    expect(reply).toMatchObject({ text: "Nothing to do.", calls: [], finish: wire.finishes.text });
    expect(reply.usage).toMatchObject({ input: 1000, cached: 0 });
  });

  test("calls the client's own shell tool, then speaks about what it printed", async () => {
    await start();
    const first = await say("RUN: echo hi");
    expect(first).toMatchObject({ text: "I run it.", finish: wire.finishes.calls });
    expect(first.calls).toEqual([
      { name: expect.stringMatching(/bash/i), input: expect.objectContaining({ command: "echo hi" }) },
    ]);
    const second = await wire.ask([person("RUN: echo hi"), ...wire.result("hi\n")]);
    expect(wire.read(await second.text()).text).toBe("It printed hi.");
    expect(model.requests.map(({ label }) => label)).toEqual(["RUN: (.+)#0", "RUN: (.+)#1"]);
  });

  test("makes several calls in one answer", async () => {
    await start();
    const { calls } = await say("TWO");
    expect(calls.map(({ input }) => input)).toEqual([
      expect.objectContaining({ command: "first" }),
      expect.objectContaining({ command: "second" }),
    ]);
  });

  test("begins again at the first turn with every new prompt", async () => {
    await start();
    const history = [person("RUN: one"), ...wire.result("1"), { role: "assistant", content: "It printed 1." }];
    const reply = await wire.ask([...history, person("RUN: two")]);
    expect(wire.read(await reply.text()).calls[0]?.input).toMatchObject({ command: "two" });
  });

  test("serves many clients at once without mixing them up", async () => {
    await start();
    const numbers = Array.from({ length: 12 }, (_, at) => String(at));
    const replies = await Promise.all(
      numbers.map(async (n) => wire.read(await (await wire.ask([person(`RUN: ${n}`), ...wire.result(n)])).text())),
    );
    expect(replies.map(({ text }) => text)).toEqual(numbers.map((n) => `It printed ${n}.`));
  });

  test("is rate limited as often as the script says", async () => {
    await start();
    const limited = [await wire.ask([person("BUSY")]), await wire.ask([person("BUSY")])];
    expect(limited.map(({ status, headers }) => [status, headers.get("retry-after")])).toEqual([
      [429, "1"],
      [429, "1"],
    ]);
    expect(await limited[0]?.text()).toMatch(/rate_limit|RESOURCE_EXHAUSTED/);
    expect((await say("BUSY")).text).toBe("Now it works.");
  });

  test("fails for good", async () => {
    await start();
    const failed = await wire.ask([person("BROKEN")]);
    expect(failed.status).toBe(500);
    expect(await failed.text()).toContain("out of order");
  });

  test("stops in the middle of an answer until it is released", async () => {
    await start();
    const reply = await wire.ask([person("WAIT")]);
    await model.whenHeld("gate");
    expect(model.requests[0]?.outcome).toBe("open");
    model.release("gate");
    expect(wire.read(await reply.text()).text).toBe("first half, second half");
  });

  test("notices that a client left a held answer", async () => {
    await start();
    const reply = await wire.ask([person("WAIT")]);
    await model.whenHeld("gate");
    await reply.body?.cancel();
    await expect.poll(() => model.requests[0]?.outcome).toBe("client left");
  });

  test("cuts a stream once, and the retry succeeds", async () => {
    await start();
    const cut = await wire.ask([person("CUT")]);
    await expect(cut.text()).rejects.toThrow();
    expect((await say("CUT")).text).toBe("a sentence that is cut in the middle");
    expect(model.requests.map(({ outcome }) => outcome)).toEqual(["dropped", "answered"]);
  });

  test("answers clients that do not stream", async () => {
    await start();
    const reply = await wire.ask([person("hello")], { stream: false });
    expect(await reply.json()).toMatchObject(wire.whole("Nothing to do."));
  });

  test("gives requests without tools an aside and runs no script for them", async () => {
    await start();
    const reply = await wire.ask([person("BROKEN")], { tools: [] });
    expect(wire.read(await reply.text()).text).toBe("A title");
  });

  test("refuses to run a command for a client without a shell tool", async () => {
    await start();
    const tools = [
      {
        ...{ name: "Read", input_schema: bash, parameters: bash, parametersJsonSchema: bash, type: "function" },
        function: { name: "read", parameters: bash },
      },
    ];
    const reply = await wire.ask([person("RUN: ls")], { tools });
    expect(reply.status).toBe(400);
    expect(await reply.text()).toContain("no shell tool");
  });
});

test("the prompt is what the person typed, not what Claude Code wraps around it", async () => {
  await start();
  const content = [
    { type: "text", text: "<system-reminder>RUN: not this</system-reminder>" },
    { type: "text", text: 'RUN: this\n<pasted_content id="f924">\nand a paste\n</pasted_content id="f924">' },
  ];
  await wires.anthropic.ask([person(content)]);
  expect(model.requests[0]?.prompt).toBe("RUN: this\n\nand a paste");
});

test("a shell tool that takes a list of words gets a shell to run the command", async () => {
  await start();
  const parameters = { properties: { cmd: { type: "array" } } };
  const reply = await wires.openai.ask([person("RUN: ls")], { tools: [{ function: { name: "shell", parameters } }] });
  expect(readChat(await reply.text()).calls).toEqual([{ name: "shell", input: { cmd: ["sh", "-c", "ls"] } }]);
});

test("the small endpoints answer, unknown ones are 404, nonsense is 400", async () => {
  await start();
  expect(await (await fetch(`${model.url}/v1/models`)).json()).toMatchObject({ data: [{ id: "fake-1" }] });
  expect(await (await post("/v1/messages/count_tokens", { a: "12345678" })).json()).toEqual({ input_tokens: 4 });
  expect((await fetch(`${model.url}/v1/elsewhere`)).status).toBe(404);
  expect((await post("/v1/messages", { messages: 7 })).status).toBe(400);
});

test("a server with a held answer can be closed", async () => {
  await start();
  const reply = await wires.openai.ask([person("WAIT")]);
  await model.whenHeld("gate");
  await model.close();
  await expect(reply.text()).rejects.toThrow();
});

interface ChatChunk {
  choices: {
    delta: { content?: string; tool_calls?: { function: { name: string; arguments: string } }[] };
    finish_reason: string | null;
  }[];
  usage?: { prompt_tokens: number; completion_tokens: number; prompt_tokens_details: { cached_tokens: number } };
}

interface MessagesEvent {
  type: string;
  message?: { usage: { input_tokens: number; cache_read_input_tokens: number } };
  content_block?: { type: string; name?: string };
  delta?: { text?: string; partial_json?: string; stop_reason?: string };
  usage?: { output_tokens: number };
}

function dataLines(stream: string): string[] {
  return stream.split("\n").flatMap((line) => (line.startsWith("data: ") ? [line.slice(6)] : []));
}

function readChat(stream: string): Reply {
  const lines = dataLines(stream);
  expect(lines.at(-1)).toBe("[DONE]");
  const chunks: ChatChunk[] = lines.slice(0, -1).map((line) => JSON.parse(line));
  const choices = chunks.flatMap((chunk) => chunk.choices);
  const usage = chunks.at(-1)?.usage;
  const cached = usage?.prompt_tokens_details.cached_tokens ?? 0;
  return {
    text: choices.map(({ delta }) => delta.content ?? "").join(""),
    calls: choices
      .flatMap(({ delta }) => delta.tool_calls ?? [])
      .map((call) => ({ name: call.function.name, input: JSON.parse(call.function.arguments) })),
    finish: choices.at(-1)?.finish_reason ?? "",
    usage: { input: (usage?.prompt_tokens ?? 0) - cached, cached, output: usage?.completion_tokens ?? 0 },
  };
}

function readMessages(stream: string): Reply {
  const events: MessagesEvent[] = dataLines(stream).map((line) => JSON.parse(line));
  expect(events.at(-1)?.type).toBe("message_stop");
  const names = events.flatMap(({ content_block: block }) => (block?.type === "tool_use" ? [block.name ?? ""] : []));
  const inputs = events.flatMap(({ delta }) =>
    delta?.partial_json === undefined ? [] : [JSON.parse(delta.partial_json)],
  );
  const end = events.find(({ type }) => type === "message_delta");
  const usage = events[0]?.message?.usage;
  return {
    text: events.map(({ delta }) => delta?.text ?? "").join(""),
    calls: names.map((name, at) => ({ name, input: inputs[at] })),
    finish: end?.delta?.stop_reason ?? "",
    usage: {
      input: usage?.input_tokens ?? 0,
      cached: usage?.cache_read_input_tokens ?? 0,
      output: end?.usage?.output_tokens ?? 0,
    },
  };
}

interface ResponsesEvent {
  type: string;
  delta?: string;
  item?: { type: string; name: string; arguments: string };
  response?: {
    status: string;
    usage: { input_tokens: number; output_tokens: number; input_tokens_details: { cached_tokens: number } };
  };
}

function readResponses(stream: string): Reply {
  const events: ResponsesEvent[] = dataLines(stream).map((line) => JSON.parse(line));
  const response = events.at(-1)?.response ?? expect.fail("the stream ends without a response");
  const cached = response.usage.input_tokens_details.cached_tokens;
  return {
    text: events.map(({ delta }) => delta ?? "").join(""),
    calls: events.flatMap(({ type, item }) =>
      type === "response.output_item.done" && item?.type === "function_call"
        ? [{ name: item.name, input: JSON.parse(item.arguments) }]
        : [],
    ),
    finish: response.status,
    usage: { input: response.usage.input_tokens - cached, cached, output: response.usage.output_tokens },
  };
}

interface GeminiChunk {
  candidates: [
    {
      content: { parts: { text?: string; functionCall?: { name: string; args: unknown } }[] };
      finishReason?: string;
    },
  ];
  usageMetadata: { promptTokenCount: number; cachedContentTokenCount: number; candidatesTokenCount: number };
}

function readGemini(stream: string): Reply {
  const chunks: GeminiChunk[] = dataLines(stream).map((line) => JSON.parse(line));
  const parts = chunks.flatMap(({ candidates: [{ content }] }) => content.parts);
  const last = chunks.at(-1) ?? expect.fail("an empty stream");
  const { promptTokenCount, cachedContentTokenCount, candidatesTokenCount } = last.usageMetadata;
  return {
    text: parts.map(({ text }) => text ?? "").join(""),
    calls: parts.flatMap(({ functionCall: call }) =>
      call === undefined ? [] : [{ name: call.name, input: call.args }],
    ),
    finish: last.candidates[0].finishReason ?? "",
    usage: {
      input: promptTokenCount - cachedContentTokenCount,
      cached: cachedContentTokenCount,
      output: candidatesTokenCount,
    },
  };
}
