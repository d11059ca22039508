import { type IntakeKind, isIntakeKind } from "../../flow/intake.js";
import { isObject } from "../../shape.js";
import type { Scope } from "./intake.js";
import { scopeText } from "./intake.js";
import type { MonitorEvent, RuntimeStatus } from "./status.js";

export const ROUTES = ["auto", "direct", "millrace"] as const;
export type Route = Exclude<(typeof ROUTES)[number], "auto">;

/** What an agent decided about a request; keys as callers know them. */
export interface Decision {
  route: Route;
  intake_kind: IntakeKind | null;
  why: string;
  mode: string;
  custom_loop_needed: boolean;
  signals: string[];
  notes: string;
}

export const DEFAULT_MODE = "default_pi";

/** The standing rules of a conversation about requests. */
export const SYSTEM = [
  "You are the operator of a crew of coding agents. A person, or a program, gives you one request at a time.",
  "Answer directly what you can answer or do yourself in this conversation. Delegate what needs durable work in stages, with tests and a check that it is done.",
  "A delegated request is exactly one item: never take other items of a queue along, and never give a signal of completion for anything else.",
  "A probe finds out. It does not authorise anybody to change code.",
  "Say that something is done only if the evidence that you are given says so.",
].join("\n");

/** Asks for the decision alone. */
export const decisionPrompt = (text: string) =>
  [
    "Decide how this request is handled. Do not do it yet. Answer with one JSON object and nothing else:",
    '{"decision": "direct" | "millrace", "intake_kind": "probe" | "idea" | "task" | null, "why": "…", "mode": "default_pi", "custom_loop_needed": false, "signals": ["…"], "notes": "…"}',
    "millrace delegates it. probe: find out first; idea: take apart first; task: can be done as it stands.",
    `The request:\n\n${text}`,
  ].join("\n\n");

/** Asks for the work itself. */
export const directPrompt = (text: string, scope: Scope | null) =>
  ["Do this yourself, now, and answer with the result.", scope && scopeText(scope), text].filter(Boolean).join("\n\n");

/** Tells what has ended, while the rest goes on; what comes back is not used. */
export const progressPrompt = ({ reason }: MonitorEvent) =>
  `A part of the delegated work has ended: ${reason}. The rest goes on; this is no end of the request. Answer with OK.`;

/** Tells how the delegated work ended, and asks for the answer to the person. */
export function finalPrompt(about: {
  text: string;
  workspace: string;
  kind: IntakeKind;
  outcome: string;
  isScoped: boolean;
  event: MonitorEvent;
  task: string;
  scope: Scope | null;
  progress: readonly MonitorEvent[];
  status: RuntimeStatus;
  warnings: readonly string[];
}): string {
  const { text, scope, progress, status, warnings, isScoped, outcome, event } = about;
  return [
    "The delegated work has come to an end. Write the answer for the one who asked: what was done, how it was proved, and what is left. Do not claim more than this says.",
    `Request:\n\n${text}`,
    scope && scopeText(scope),
    [
      `- workspace: ${about.workspace}`,
      `- intake: ${about.kind} ${about.task}`,
      `- event: ${event.kind}: ${event.reason}`,
      `- outcome: ${outcome}; the request is ${isScoped ? "verified as done" : "NOT verified as done"}`,
      `- evidence: ${status.evidence.map(({ reason }) => reason).join("; ") || "none"}`,
      `- progress: ${progress.map(({ reason }) => reason).join("; ") || "none"}`,
      ...(warnings.length > 0 ? [`- warnings: ${warnings.join("; ")}`] : []),
    ].join("\n"),
  ]
    .filter(Boolean)
    .join("\n\n");
}

/** What an answer decides: its JSON object, fenced or not, else lines such as `decision: direct`. Anything else is direct. */
export function parseDecision(answer: string): Decision {
  const found = jsonIn(answer) ?? linesIn(answer);
  const route = found["decision"] ?? found["route"];
  const { why, mode, signals, notes, intake_kind: kind } = found;
  return {
    route: route === "millrace" || route === "delegate" ? "millrace" : "direct",
    intake_kind: isIntakeKind(kind) ? kind : null,
    why: typeof why === "string" && why !== "" ? why : "The answer did not say how; it is done directly.",
    mode: typeof mode === "string" && mode !== "" ? mode : DEFAULT_MODE,
    custom_loop_needed: found["custom_loop_needed"] === true,
    signals: Array.isArray(signals) ? signals.filter((one) => typeof one === "string") : [],
    notes: typeof notes === "string" ? notes : "",
  };
}

function jsonIn(answer: string): Record<string, unknown> | undefined {
  const fenced = [...answer.matchAll(/```(?:json)?\s*\n([\s\S]*?)```/g)].map(([, text]) => text ?? "");
  const from = answer.indexOf("{");
  const raw = from < 0 ? [] : [answer.slice(from, answer.lastIndexOf("}") + 1)];
  for (const text of [...fenced, ...raw]) {
    try {
      const value: unknown = JSON.parse(text);
      if (isObject(value)) return value;
    } catch {}
  }
  return undefined;
}

function linesIn(answer: string): Record<string, unknown> {
  const of = (name: string) => new RegExp(`^\\s*${name}\\s*:\\s*(.+)$`, "im").exec(answer)?.[1]?.trim();
  return { decision: of("decision")?.toLowerCase(), why: of("why") };
}
