import { Fault } from "../errors.js";
import type { Place } from "./planned-tasks.js";

export const PLAN_FORMATS = ["json", "yaml"] as const;
export type PlanFormat = (typeof PLAN_FORMATS)[number];

/** What a document says, still to be checked, and where it says it. */
export interface PlanDocument {
  plan: unknown;
  place: Place;
}

/** So often may aliases be used: a document of a few lines must not unfold into gigabytes. */
const MOST_ALIASES = 10_000;

/**
 * Reads a plan from JSON or YAML, told apart by trying unless `format` says which. A place is a path in JSON
 * (`tasks[17].blockedBy[0]`) and a line in YAML. Faults `plan.unreadable`.
 */
export async function parsePlan(text: string, format?: PlanFormat): Promise<PlanDocument> {
  const source = text.replace(/^\ufeff/, "");
  if (format === "yaml") return parseYaml(source);
  try {
    return { plan: JSON.parse(source), place: pathPlace };
  } catch (error) {
    if (format === "json") throw unreadable(jsonPlace(source, error as Error), (error as Error).message);
    return parseYaml(source);
  }
}

/** `tasks[17].blockedBy[0]`. */
export const pathPlace: Place = (path) => {
  const steps = path.map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`));
  return steps.join("").replace(/^\./, "") || "the document";
};

/** V8 tells the offset of what it did not expect, or that the text ended too early. */
function jsonPlace(source: string, error: Error): string {
  const offset = /position (\d+)/.exec(error.message)?.[1];
  return `line ${source.slice(0, offset === undefined ? source.length : Number(offset)).split("\n").length}`;
}

async function parseYaml(source: string): Promise<PlanDocument> {
  const { isNode, LineCounter, parseDocument } = await import("yaml");
  const lines = new LineCounter();
  const line = (offset: number) => `line ${lines.linePos(offset).line}`;
  const document = shallow(() => parseDocument(source, { lineCounter: lines, prettyErrors: false }));
  const [error] = document.errors;
  if (error !== undefined) throw unreadable(line(error.pos[0]), error.message);

  const place: Place = (path) => {
    for (let length = path.length; length >= 0; length--) {
      const node = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
      if (isNode(node) && node.range) return line(node.range[0]);
    }
    return "line 1";
  };
  return { plan: shallow(() => document.toJS({ maxAliasCount: MOST_ALIASES })), place };
}

/** Runs the parser; what its recursion or its alias count cannot bear is the document's fault. */
function shallow<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof RangeError) throw unreadable("line 1", "it is nested too deeply");
    if (error instanceof ReferenceError) throw unreadable("line 1", `its aliases are unknown or too many`);
    throw error;
  }
}

function unreadable(place: string, reason: string): Fault {
  return new Fault(
    "usage",
    "plan.unreadable",
    `The plan cannot be read, ${place}: ${reason.slice(0, 200)}.`,
    [{ intent: "See what a plan looks like", command: "mu task apply --help" }],
    { place },
  );
}
