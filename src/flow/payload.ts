import { isObject } from "../shape.js";
import { DEFAULT_LIMITS, type Limits, NODE_KINDS, type NodeKind } from "./steps.js";

/** What a task asks of its runs, over its role's settings. */
export interface RunWish {
  cli?: string;
  model?: string;
  /** The role's cheaper model. */
  lite?: boolean;
  /** A run never gets more access than its role has. */
  access?: "read-only";
  /** The name that a checkout belongs to: the run works there. */
  workspace?: string;
  /** The run works in the project folder, whatever its role says. */
  here?: boolean;
}

/** A step as it was asked for, in its task's payload. */
export interface StepPlan {
  instructions: string | null;
  limits: Limits;
  base: number;
  nodes: Partial<Record<NodeKind, { role: string; run: RunWish }>>;
}

/** A job, in its task's payload. */
export interface JobPlan {
  /** Names of the modules that its agents get documents of; null until somebody has chosen. */
  modules: string[] | null;
  /** Whether it has a checkout of its own, by its name. */
  workspace: boolean;
}

/** A payload as it is stored. People can change it: what is missing or wrong in it counts as not said. */
type Stored = string | null | undefined;

/** What a payload says, by key; one that is no object says nothing. */
export function valuesIn(stored: Stored): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(stored ?? "null");
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

function objectIn(stored: Stored, key: string): Record<string, unknown> {
  const found = valuesIn(stored)[key];
  return isObject(found) ? found : {};
}

const textOf = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);
const countOf = (value: unknown, otherwise: number) =>
  Number.isSafeInteger(value) && Number(value) >= 0 ? Number(value) : otherwise;

/** More rounds, drafts or reviewers than this are a mistake of whoever changed the payload. */
const MOST = 50;
const limitOf = (value: unknown, otherwise: number) => Math.min(countOf(value, otherwise), MOST);

export const runWishOf = (stored: Stored): RunWish => toRunWish(objectIn(stored, "run"));

function toRunWish({ cli, model, lite, access, workspace, here }: Record<string, unknown>): RunWish {
  const words = { cli: textOf(cli), model: textOf(model), workspace: textOf(workspace) };
  return {
    ...Object.fromEntries(Object.entries(words).filter(([, word]) => word !== undefined)),
    ...(lite === true && { lite }),
    ...(access === "read-only" && { access }),
    ...(here === true && { here }),
  };
}

/** The round and index of a task of a step. */
export function placeOf(stored: Stored): { round: number; index: number } {
  const { round, index } = objectIn(stored, "node");
  return { round: countOf(round, 1), index: countOf(index, 1) };
}

export function stepPlanOf(stored: Stored): StepPlan {
  const { instructions, limits, base, nodes } = objectIn(stored, "plan");
  const given = isObject(limits) ? limits : {};
  const names = Object.keys(DEFAULT_LIMITS) as (keyof Limits)[];
  const found = isObject(nodes) ? nodes : {};
  const known = NODE_KINDS.flatMap((kind) => {
    const node = found[kind];
    const role = isObject(node) ? textOf(node["role"]) : undefined;
    if (!isObject(node) || role === undefined) return [];
    return [[kind, { role, run: toRunWish(isObject(node["run"]) ? node["run"] : {}) }]];
  });
  return {
    instructions: textOf(instructions) ?? null,
    limits: Object.fromEntries(names.map((name) => [name, limitOf(given[name], DEFAULT_LIMITS[name])])) as never,
    base: countOf(base, 0),
    nodes: Object.fromEntries(known),
  };
}

export function jobPlanOf(stored: Stored): JobPlan {
  const { modules, workspace } = objectIn(stored, "job");
  const isList = Array.isArray(modules) && modules.every((name) => typeof name === "string");
  return { modules: isList ? modules : null, workspace: workspace === true };
}

/** A push of a job that has not reached the remote yet, in its task's payload. */
export interface PushMark {
  /** `begun`: its files may be in the archive, its commit may be made; `committed`: only the push is left. */
  state: "begun" | "committed";
  /** The top of the checkout that it is committed in. */
  path: string;
  branch: string;
  /** The branch's commit before; null if it had none. */
  before: string | null;
  /** Where its files are in the archive. */
  folder: string;
  /** Of the commit's message. */
  sha256: string;
}

/** Undefined if none is under way. */
export function pushMarkOf(stored: Stored): PushMark | undefined {
  const { state, path, branch, before, folder, sha256 } = objectIn(stored, "push");
  const words = [path, branch, folder, sha256].map(textOf);
  if ((state !== "begun" && state !== "committed") || words.includes(undefined)) return undefined;
  const [at = "", on = "", to = "", hash = ""] = words;
  return { state, path: at, branch: on, before: textOf(before) ?? null, folder: to, sha256: hash };
}

/** What a job's payload says of its issue: when one was asked for and the answer has not come. */
export function linearMarkOf(stored: Stored): { creating: string | undefined } {
  return { creating: textOf(objectIn(stored, "linear")["creating"]) };
}
