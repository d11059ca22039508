import { z } from "zod";
import type { Utterance } from "./conversation.js";
import { type Answer, inPieces, type Wire } from "./wire.js";

/** Gemini's generateContent. The model's name and whether to stream stand in the path, as with no other wire. */
export const gemini: Wire = {
  path: /\/models\/[^/]+:(?:streamG|g)enerateContent$/,
  read(body, path) {
    const request = requestShape.parse(body);
    return {
      model: /\/models\/([^/:]+):/.exec(path)?.[1] ?? "unknown",
      streams: path.endsWith(":streamGenerateContent"),
      tools: request.tools
        .flatMap(({ functionDeclarations }) => functionDeclarations)
        .map(({ name, parametersJsonSchema, parameters }) => {
          const { properties } = parametersJsonSchema ?? parameters ?? { properties: {} };
          return {
            name,
            parameters: Object.fromEntries(
              Object.entries(properties).map(([key, { type }]) => [key, type.toLowerCase()]),
            ),
          };
        }),
      utterances: request.contents.flatMap(readContent),
    };
  },
  stream(answer) {
    return [
      ...inPieces(answer.text).map((text) => ({ data: bodyOf(answer, [{ text }]) })),
      ...answer.calls.map((call) => ({ data: bodyOf(answer, [callPart(call)]) })),
      { data: bodyOf(answer, [{ text: "" }], "STOP") },
    ];
  },
  whole(answer) {
    const text = answer.text === "" ? [] : [{ text: answer.text }];
    return bodyOf(answer, [...text, ...answer.calls.map(callPart)], "STOP");
  },
  error(status, message) {
    const name = status === 429 ? "RESOURCE_EXHAUSTED" : status >= 500 ? "INTERNAL" : "INVALID_ARGUMENT";
    return { error: { code: status, message, status: name } };
  },
};

const schemaShape = z.looseObject({
  properties: z.record(z.string(), z.looseObject({ type: z.string().catch("") })).default({}),
});

const contentShape = z.looseObject({
  role: z.string().default("user"),
  parts: z
    .array(
      z.looseObject({
        text: z.string().optional(),
        functionCall: z.unknown().optional(),
        functionResponse: z.looseObject({ response: z.unknown() }).optional(),
      }),
    )
    .default([]),
});

const requestShape = z.looseObject({
  contents: z.array(contentShape).default([]),
  tools: z
    .array(
      z.looseObject({
        functionDeclarations: z
          .array(
            z.looseObject({
              name: z.string(),
              parametersJsonSchema: schemaShape.optional(),
              parameters: schemaShape.optional(),
            }),
          )
          .default([]),
      }),
    )
    .default([]),
});

function readContent({ role, parts }: z.infer<typeof contentShape>): Utterance[] {
  return parts.flatMap(({ text = "", functionResponse }): Utterance[] => {
    if (functionResponse !== undefined) return [{ speaker: "tool", text: resultText(functionResponse.response) }];
    if (role === "model") return [{ speaker: "model", text }];
    return /^\s*<\w+>/.test(text) ? [] : [{ speaker: "person", text }];
  });
}

function resultText(response: unknown): string {
  const { output } = (response ?? {}) as { output?: unknown };
  return typeof output === "string" ? output : JSON.stringify(response);
}

const callPart = ({ id, name, input }: Answer["calls"][number]) => ({ functionCall: { id, name, args: input } });

function bodyOf({ id, model, usage }: Answer, parts: object[], finishReason?: "STOP") {
  const prompt = usage.input + usage.cached;
  return {
    candidates: [{ index: 0, content: { role: "model", parts }, ...(finishReason && { finishReason }) }],
    usageMetadata: {
      promptTokenCount: prompt,
      cachedContentTokenCount: usage.cached,
      candidatesTokenCount: usage.output,
      totalTokenCount: prompt + usage.output,
    },
    modelVersion: model,
    responseId: id,
  };
}
