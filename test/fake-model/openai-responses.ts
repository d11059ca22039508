import { z } from "zod";
import type { ToolCall, Utterance } from "./conversation.js";
import { openaiChat } from "./openai-chat.js";
import { type Answer, inPieces, type SseRecord, type Wire } from "./wire.js";

/** OpenAI responses: what Codex speaks to a provider with `wire_api = "responses"`. */
export const openaiResponses: Wire = {
  path: /\/responses$/,
  read(body) {
    const request = requestShape.parse(body);
    return {
      model: request.model,
      streams: request.stream,
      tools: request.tools.flatMap(({ name, parameters }) =>
        name === undefined
          ? []
          : [
              {
                name,
                parameters: Object.fromEntries(
                  Object.entries(parameters.properties).map(([key, { type }]) => [key, type]),
                ),
              },
            ],
      ),
      utterances: request.input.flatMap(readItem),
    };
  },
  stream(answer) {
    const records: SseRecord[] = [];
    const put = (type: string, body: object) =>
      records.push({ event: type, data: { type, sequence_number: records.length, ...body } });
    put("response.created", { response: responseOf(answer, "in_progress") });
    if (answer.text !== "") {
      const at = { item_id: messageId(answer), output_index: 0, content_index: 0 };
      const item = messageOf(answer);
      put("response.output_item.added", { output_index: 0, item: { ...item, status: "in_progress", content: [] } });
      put("response.content_part.added", { ...at, part: { type: "output_text", text: "", annotations: [] } });
      for (const delta of inPieces(answer.text)) put("response.output_text.delta", { ...at, delta });
      put("response.output_text.done", { ...at, text: answer.text });
      put("response.output_item.done", { output_index: 0, item });
    }
    for (const [index, call] of answer.calls.entries()) {
      const place = { output_index: index + (answer.text === "" ? 0 : 1) };
      const item = callOf(call);
      put("response.output_item.added", { ...place, item: { ...item, status: "in_progress", arguments: "" } });
      put("response.function_call_arguments.done", { ...place, item_id: item.id, arguments: item.arguments });
      put("response.output_item.done", { ...place, item });
    }
    put("response.completed", { response: responseOf(answer, "completed") });
    return records;
  },
  whole: (answer) => responseOf(answer, "completed"),
  error: openaiChat.error,
};

const contentShape = z.union([z.string(), z.array(z.looseObject({ text: z.string().default("") }))]).nullish();
const itemShape = z.looseObject({
  type: z.string().default("message"),
  role: z.string().optional(),
  content: contentShape,
  output: z.union([z.string(), z.looseObject({ content: contentShape }), z.array(z.unknown())]).nullish(),
});

const requestShape = z.looseObject({
  model: z.string().default("unknown"),
  stream: z.boolean().default(false),
  input: z.array(itemShape).default([]),
  tools: z
    .array(
      z.looseObject({
        name: z.string().optional(),
        parameters: z
          .looseObject({ properties: z.record(z.string(), z.looseObject({ type: z.string().catch("") })).default({}) })
          .default({ properties: {} }),
      }),
    )
    .default([]),
});

/** What the client says about itself comes as a person's message too, in tags. */
function readItem({ type, role, content, output }: z.infer<typeof itemShape>): Utterance[] {
  if (type.endsWith("_call_output")) return [{ speaker: "tool", text: outputText(output) }];
  if (type.endsWith("_call") || type === "reasoning") return [{ speaker: "model", text: "" }];
  const text = textOf(content);
  if (role === "assistant") return [{ speaker: "model", text }];
  return role === "user" && !/^\s*(?:<\w+>|# AGENTS\.md)/.test(text) ? [{ speaker: "person", text }] : [];
}

function outputText(output: z.infer<typeof itemShape>["output"]): string {
  if (typeof output === "string") return output;
  return Array.isArray(output) ? JSON.stringify(output) : textOf(output?.content);
}

function textOf(content: z.infer<typeof contentShape>): string {
  if (!content) return "";
  return typeof content === "string" ? content : content.map(({ text }) => text).join("\n");
}

const messageId = ({ id }: Answer) => `msg_${id}`;

function messageOf(answer: Answer) {
  const content = [{ type: "output_text", text: answer.text, annotations: [] }];
  return { id: messageId(answer), type: "message", role: "assistant", status: "completed", content };
}

function callOf({ id, name, input }: ToolCall) {
  const call = { type: "function_call", status: "completed", call_id: id, name, arguments: JSON.stringify(input) };
  return { id: `fc_${id}`, ...call };
}

function responseOf(answer: Answer, status: "in_progress" | "completed") {
  const isDone = status === "completed";
  const { input, cached, output } = answer.usage;
  const usage = {
    input_tokens: input + cached,
    input_tokens_details: { cached_tokens: cached },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: input + cached + output,
  };
  return {
    ...{ id: answer.id, object: "response", created_at: 0, status, model: answer.model, error: null },
    output: isDone ? [...(answer.text === "" ? [] : [messageOf(answer)]), ...answer.calls.map(callOf)] : [],
    usage: isDone ? usage : null,
  };
}
