import { z } from "zod";
import type { Utterance } from "./conversation.js";
import { type Answer, inPieces, type SseRecord, type Wire } from "./wire.js";

/** Anthropic messages: what Claude Code speaks. */
export const anthropicMessages: Wire = {
  path: /\/messages$/,
  read(body) {
    const request = requestShape.parse(body);
    return {
      model: request.model,
      streams: request.stream,
      tools: request.tools.map(({ name, input_schema: { properties } }) => ({
        name,
        parameters: Object.fromEntries(Object.entries(properties).map(([key, { type }]) => [key, type])),
      })),
      utterances: request.messages.flatMap(utterancesOf),
    };
  },
  stream(answer) {
    const start = {
      ...messageOf(answer),
      content: [],
      stop_reason: null,
      usage: { ...usageOf(answer), output_tokens: 1 },
    };
    return [
      record("message_start", { message: start }),
      ...blocksOf(answer).flatMap((block, index) => streamBlock(block, index)),
      record("message_delta", {
        delta: { stop_reason: stopReason(answer), stop_sequence: null },
        usage: { output_tokens: answer.usage.output },
      }),
      record("message_stop", {}),
    ];
  },
  whole: messageOf,
  error(status, message) {
    return { type: "error", error: { type: ERROR_TYPES[status] ?? "api_error", message } };
  },
};

const textBlock = z.looseObject({ text: z.string().catch("") });
const contentShape = z.union([
  z.string(),
  z.array(
    z.looseObject({
      type: z.string(),
      text: z.string().default(""),
      content: z.union([z.string(), z.array(textBlock)]).default(""),
    }),
  ),
]);

const requestShape = z.looseObject({
  model: z.string().default("unknown"),
  stream: z.boolean().default(false),
  messages: z.array(z.looseObject({ role: z.string(), content: contentShape })).default([]),
  tools: z
    .array(
      z.looseObject({
        name: z.string(),
        input_schema: z
          .looseObject({ properties: z.record(z.string(), z.looseObject({ type: z.string().catch("") })).default({}) })
          .default({ properties: {} }),
      }),
    )
    .default([]),
});

const ERROR_TYPES: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  429: "rate_limit_error",
  529: "overloaded_error",
};

/** A tool's result arrives as a block of a user message, before anything that a person or the client adds. */
function utterancesOf({ role, content }: { role: string; content: z.infer<typeof contentShape> }): Utterance[] {
  const blocks = typeof content === "string" ? [{ type: "text", text: content, content: "" }] : content;
  const spoken = blocks.map(({ text }) => text).join("\n");
  if (role === "assistant") return [{ speaker: "model", text: spoken }];
  if (role !== "user") return [];
  const results = blocks.filter(({ type }) => type === "tool_result");
  return [
    ...results.map(({ content: result }) => ({ speaker: "tool" as const, text: resultText(result) })),
    { speaker: "person", text: spoken },
  ];
}

function resultText(result: string | { text: string }[]): string {
  return typeof result === "string" ? result : result.map(({ text }) => text).join("\n");
}

type Block = { type: "text"; text: string } | { type: "tool_use"; id: string; name: string; input: object };

function blocksOf({ text, calls }: Answer): Block[] {
  const words: Block[] = text === "" ? [] : [{ type: "text", text }];
  return [...words, ...calls.map((call) => ({ type: "tool_use" as const, ...call }))];
}

/** A block comes empty and is then filled piece by piece. */
function streamBlock(block: Block, index: number): SseRecord[] {
  const empty = block.type === "text" ? { ...block, text: "" } : { ...block, input: {} };
  const pieces =
    block.type === "text"
      ? inPieces(block.text).map((text) => ({ type: "text_delta", text }))
      : [{ type: "input_json_delta", partial_json: JSON.stringify(block.input) }];
  return [
    record("content_block_start", { index, content_block: empty }),
    ...pieces.map((delta) => record("content_block_delta", { index, delta })),
    record("content_block_stop", { index }),
  ];
}

function record(type: string, fields: object): SseRecord {
  return { event: type, data: { type, ...fields } };
}

function messageOf(answer: Answer) {
  return {
    id: answer.id,
    type: "message",
    role: "assistant",
    model: answer.model,
    content: blocksOf(answer),
    stop_reason: stopReason(answer),
    stop_sequence: null,
    usage: usageOf(answer),
  };
}

function stopReason(answer: Answer): string {
  return answer.calls.length > 0 ? "tool_use" : "end_turn";
}

function usageOf({ usage }: Answer) {
  return {
    input_tokens: usage.input,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: usage.cached,
    output_tokens: usage.output,
  };
}
