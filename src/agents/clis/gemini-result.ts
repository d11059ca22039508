import { asObject, asText, type Json } from "../json.js";
import type { FailureClass, Headless, HeadlessRequest, ModelUsage, Output, Report } from "./headless.js";
import { lastJson, messageOf, noResult, reportOf, tokens, usageOf, withSystem } from "./results.js";

/** Gemini CLI without a terminal: one JSON object, on standard error where it failed. It says no dollars. */
export const geminiHeadless: Headless = { restricts: { access: true, tools: true }, start, read };

function start(request: HeadlessRequest) {
  const { model, access, allowedTools, sessionRef } = request;
  const mode = access === "read-only" ? "plan" : allowedTools === null ? "yolo" : "default";
  const args = [
    ...["--output-format", "json", `--approval-mode=${mode}`],
    ...(sessionRef === null ? [] : ["--resume", sessionRef]),
    ...(allowedTools === null || access === "read-only" ? [] : [`--allowed-tools=${allowedTools.join(",")}`]),
    ...(model === null ? [] : ["--model", model]),
  ];
  return { args, stdin: withSystem(request), env: {} };
}

/** Its exit codes that mean one thing: no sign-in, bad input, bad settings. */
const EXITS: Readonly<Record<number, FailureClass>> = { 41: "auth", 42: "config", 52: "config" };
const TURN_LIMIT = 53;

function read(output: Output): Report {
  const { stdout, stderr, exitCode } = output;
  const isResult = (found: Json | undefined) => found !== undefined && ("response" in found || "error" in found);
  const result = [lastJson(stdout), lastJson(stderr)].find(isResult);
  const failure = EXITS[exitCode ?? 0];
  if (result === undefined) return failure === undefined ? noResult(output) : { ...noResult(output), failure };
  const { error, stats, session_id } = result;
  const text = asText(result["response"]) ?? "";
  const status = Number(asObject(error)["code"]);
  const said = error ? (messageOf(error) ?? "an error without a message") : undefined;
  return reportOf(
    {
      text: said === undefined ? text : null,
      sessionRef: asText(session_id) ?? null,
      usage: usageIn(asObject(stats)),
      productive: text.trim() !== "" || tokens(asObject(asObject(stats)["tools"])["totalSuccess"]) > 0,
      status,
      ...(failure && { failure }),
      ...(said !== undefined
        ? { error: said }
        : exitCode === TURN_LIMIT && { error: "It reached its limit of turns." }),
    },
    output,
  );
}

/** Old versions have no models, only sums. */
function usageIn(stats: Json): ModelUsage[] {
  const models = Object.entries(asObject(stats["models"])).map(([model, used]) => [model, asObject(used)] as const);
  const all = models.length > 0 ? models : [["", stats] as const];
  return all
    .map(([model, used]) => modelUsage(model, asObject(used["tokens"] ?? used)))
    .filter(({ input, output, cacheRead }) => input + output + cacheRead > 0);
}

/** Cached tokens are among the prompt; thoughts are output, which the short form leaves out of it but not of the total. */
function modelUsage(model: string, used: Json): ModelUsage {
  const cacheRead = tokens(used["cached"]);
  const prompt = tokens(used["prompt"] ?? used["input_tokens"]);
  const input = Math.max(0, prompt - cacheRead) + tokens(used["tool"]);
  const short = Math.max(tokens(used["output_tokens"]), tokens(used["total_tokens"]) - prompt);
  const output = "candidates" in used ? tokens(used["candidates"]) + tokens(used["thoughts"]) : short;
  return usageOf(model, { input, output, cacheRead });
}
