import { z } from "zod";
import type { ToolCall, Utterance } from "./conversation.js";
import { type Answer, inPieces, type Wire } from "./wire.js";

/** OpenAI chat completions: what pi speaks to a provider with `api: "openai-completions"`. */
export const openaiChat: Wire = {
  path: /\/chat\/completions$/,
  read(body) {
    const request = requestShape.parse(body);
    return {
      model: request.model,
      streams: request.stream,
      tools: request.tools.map(({ function: { name, parameters } }) => ({
        name,
        parameters: Object.fromEntries(Object.entries(parameters.properties).map(([key, { type }]) => [key, type])),
      })),
      utterances: request.messages.flatMap(({ role, content }) => {
        const speaker = SPEAKERS[role];
        return speaker ? [{ speaker, text: textOf(content) }] : [];
      }),
    };
  },
  stream(answer) {
    const chunk = (choices: object[], extra: object = {}) => ({
      data: { ...envelope(answer), object: "chat.completion.chunk", choices, ...extra },
    });
    const delta = (change: object, finish: string | null = null) =>
      chunk([{ index: 0, delta: change, finish_reason: finish }]);
    return [
      delta({ role: "assistant", content: "" }),
      ...inPieces(answer.text).map((content) => delta({ content })),
      ...answer.calls.map((call, index) => delta({ tool_calls: [{ index, ...wireCall(call) }] })),
      delta({}, finishOf(answer)),
      chunk([], { usage: usageOf(answer) }),
      { data: "[DONE]" },
    ];
  },
  whole(answer) {
    const calls = answer.calls.length > 0 && { tool_calls: answer.calls.map(wireCall) };
    const message = { role: "assistant", content: answer.text, ...calls };
    return {
      ...envelope(answer),
      object: "chat.completion",
      choices: [{ index: 0, message, finish_reason: finishOf(answer) }],
      usage: usageOf(answer),
    };
  },
  error(status, message) {
    const type = status === 429 ? "rate_limit_exceeded" : status >= 500 ? "server_error" : "invalid_request_error";
    return { error: { message, type, code: type, param: null } };
  },
};

const contentShape = z.union([z.string(), z.array(z.looseObject({ text: z.string().default("") }))]).nullish();

const requestShape = z.looseObject({
  model: z.string().default("unknown"),
  stream: z.boolean().default(false),
  messages: z.array(z.looseObject({ role: z.string(), content: contentShape })).default([]),
  tools: z
    .array(
      z.looseObject({
        function: z.looseObject({
          name: z.string(),
          parameters: z
            .looseObject({
              properties: z.record(z.string(), z.looseObject({ type: z.string().catch("") })).default({}),
            })
            .default({ properties: {} }),
        }),
      }),
    )
    .default([]),
});

const SPEAKERS: Readonly<Record<string, Utterance["speaker"]>> = { user: "person", assistant: "model", tool: "tool" };

function textOf(content: z.infer<typeof contentShape>): string {
  if (!content) return "";
  return typeof content === "string" ? content : content.map(({ text }) => text).join("\n");
}

function envelope(answer: Answer) {
  return { id: answer.id, created: 0, model: answer.model };
}

function wireCall({ id, name, input }: ToolCall) {
  return { id, type: "function", function: { name, arguments: JSON.stringify(input) } };
}

function finishOf(answer: Answer): string {
  return answer.calls.length > 0 ? "tool_calls" : "stop";
}

/** On this wire the prompt's tokens include the cached ones. */
function usageOf({ usage }: Answer) {
  const prompt = usage.input + usage.cached;
  return {
    prompt_tokens: prompt,
    prompt_tokens_details: { cached_tokens: usage.cached },
    completion_tokens: usage.output,
    total_tokens: prompt + usage.output,
  };
}
