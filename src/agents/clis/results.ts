import { stripVTControlCharacters } from "node:util";
import { isObject } from "../../shape.js";
import { asObject, asText, type Json } from "../json.js";
import type { FailureClass, ModelUsage, Output, Report } from "./headless.js";
import { limitEnd } from "./limit-end.js";

/** What a CLI's result says; `error` is its own word for a failure, `status` that of its model's server. */
export type Found = Partial<Omit<Report, "reason" | "retryAt">> & {
  error?: string | undefined;
  status?: unknown;
};

/** The report of a run: the failure that its result names, else the one that its exit shows. */
export function reportOf({ error, status, ...found }: Found, output: Output): Report {
  const { stderr, exitCode } = output;
  const isBroken = exitCode !== null && exitCode !== 0;
  const said = error ?? (isBroken ? (lastLine(stderr) ?? `ended with exit code ${exitCode}`) : undefined);
  const text = found.text?.trim() ? found.text.trim() : null;
  const failure = found.failure ?? (said === undefined ? null : classOf(said, status));
  return {
    ...{ sessionRef: null, usage: [], costUsd: null, counts: "run", productive: text !== null },
    ...found,
    ...{ text, failure, reason: said === undefined ? null : oneLine(said) },
    retryAt: failure === "rate_limit" ? limitEnd(said ?? "", output.endedAt) : null,
  };
}

/** The report where no result was found in what a CLI printed. */
export function noResult(output: Output): Report {
  const isClean = output.exitCode === 0 && output.stdout.trim() !== "";
  return reportOf(isClean ? { failure: "bad_result", error: "It printed no result." } : {}, output);
}

const AUTH =
  /\b40[13]\b|unauthori[sz]ed|forbidden|authenticat|\b(?:invalid|incorrect|missing|no) (?:x-)?api.?key|not logged in|\/login\b|oauth|credit balance|billing/i;
const LIMIT =
  /\b(?:429|529)\b|too many requests|rate.?limit|(?:usage|session|weekly|hourly|daily|spending) limit|hit your .{0,30}limit|quota|resource.?exhausted|overloaded/i;

/** The class of a failure, by its server's status or the words for it. An account that cannot pay counts as `auth`. */
function classOf(error: string, status: unknown): FailureClass {
  if (status === 429 || status === 529) return "rate_limit";
  if (status === 401 || status === 403) return "auth";
  if (LIMIT.test(error)) return "rate_limit";
  return AUTH.test(error) ? "auth" : "crash";
}

/** The objects that stand on lines of their own; other lines are left out. */
export function jsonLines(text: string): Json[] {
  return text.split("\n").flatMap((line): Json[] => {
    const found = jsonIn(line);
    return found === undefined ? [] : [found];
  });
}

/** The object that a text is, if it is one. */
export function jsonIn(text: string): Json | undefined {
  if (!text.trimStart().startsWith("{")) return undefined;
  const value = parsed(text);
  return isObject(value) ? value : undefined;
}

/** The value of a JSON text; undefined where it is none. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** How many lines that could begin an object are tried, from the last one on. */
const TRIES = 20;

/** The last object that ends a text, on one line or on many, behind any other lines. */
export function lastJson(text: string): Json | undefined {
  for (let at = text.length, tries = 0; at > 0 && tries < TRIES; tries++) {
    const start = text.lastIndexOf("\n{", at - 1) + 1;
    const found = jsonIn(text.slice(start));
    if (found !== undefined || start === 0) return found;
    at = start - 1;
  }
  return undefined;
}

const MOST = 1e12;

/** A number of tokens; 0 where there is none. */
export function tokens(value: unknown): number {
  return typeof value === "number" && value > 0 ? Math.round(Math.min(value, MOST)) : 0;
}

/** An amount in USD; null where there is none. */
export function dollars(value: unknown): number | null {
  return typeof value === "number" && value >= 0 && value < MOST ? value : null;
}

/** What was used of a model, `costUsd` only where it can be right: tokens are not free. */
export function usageOf(model: string, used: Partial<Omit<ModelUsage, "model">>): ModelUsage {
  const all = { input: 0, output: 0, cacheRead: 0, cacheWrite5m: 0, cacheWrite1h: 0, costUsd: null, ...used };
  const isFree = all.costUsd === 0 && all.input + all.output + all.cacheRead + all.cacheWrite5m + all.cacheWrite1h > 0;
  return { model, ...all, costUsd: isFree ? null : all.costUsd };
}

/** What was used, one entry per model. Its cost is unknown where one of its parts is. */
export function sumUsage(parts: readonly ModelUsage[]): ModelUsage[] {
  const models = new Map<string, ModelUsage>();
  for (const part of parts) {
    const sum = models.get(part.model);
    models.set(part.model, sum === undefined ? part : addUsage(sum, part));
  }
  return [...models.values()];
}

function addUsage(a: ModelUsage, b: ModelUsage): ModelUsage {
  return {
    model: a.model,
    input: a.input + b.input,
    output: a.output + b.output,
    cacheRead: a.cacheRead + b.cacheRead,
    cacheWrite5m: a.cacheWrite5m + b.cacheWrite5m,
    cacheWrite1h: a.cacheWrite1h + b.cacheWrite1h,
    costUsd: a.costUsd === null || b.costUsd === null ? null : a.costUsd + b.costUsd,
  };
}

/** What all models cost together; null where one is unknown, and where there is none. */
export function costOfAll(usage: readonly ModelUsage[]): number | null {
  if (usage.length === 0 || usage.some(({ costUsd }) => costUsd === null)) return null;
  return usage.reduce((sum, { costUsd }) => sum + (costUsd ?? 0), 0);
}

/** An error's message; servers wrap theirs in JSON, more than once. */
export function messageOf(error: unknown, depth = 3): string | undefined {
  const text = asText(error);
  const inner = text === undefined ? error : jsonIn(text);
  if (!isObject(inner) || depth === 0) return text;
  const { message, error: wrapped, data } = inner;
  return messageOf(message ?? wrapped ?? asObject(data)["message"], depth - 1) ?? text;
}

/** Standing instructions and prompt as one text, for CLIs without a place for the former. */
export function withSystem({
  prompt,
  system,
  sessionRef,
}: {
  prompt: string;
  system: string | null;
  sessionRef: string | null;
}) {
  return system === null || sessionRef !== null ? prompt : `${system}\n\n${prompt}`;
}

function lastLine(text: string): string | undefined {
  const lines = text.trimEnd().split("\n").reverse();
  return lines.find((line) => oneLine(line) !== "");
}

const LONGEST = 500;

/** A text on one line, without what terminals do. */
function oneLine(text: string): string {
  const plain = stripVTControlCharacters(text.slice(0, 4 * LONGEST));
  return plain
    .replace(/[\s\p{Cc}]+/gu, " ")
    .trim()
    .slice(0, LONGEST);
}
