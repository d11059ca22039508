import { relative, resolve } from "node:path";
import { Fault } from "../errors.js";
import { quote, slug } from "../names.js";
import { isObject } from "../shape.js";
import { setAt } from "../workstreams/settings.js";

/** Settings made from a `producer.yaml`, and what people should know about it, a line each. */
export interface Imported {
  settings: Record<string, unknown>;
  remarks: string[];
}

/** Keys of `producer.yaml` with the setting that each becomes. */
const KEPT: Readonly<Record<string, string>> = {
  project_name: "projectName",
  poll_interval_seconds: "dispatch.pollSeconds",
  idle_threshold_polls: "dispatch.idleThresholdPolls",
  "notifications.ntfy_topic": "notifications.ntfyTopic",
  "notifications.subject_prefix": "notifications.subjectPrefix",
  "budget.project_ceiling_usd": "budget.projectCeilingUsd",
  "budget.soft_cap_ratio": "budget.softCapRatio",
  "auth.mode": "auth.mode",
};
const KEPT_PATHS: Readonly<Record<string, string>> = {
  kill_switch: "paths.killSwitch",
  escalations_dir: "paths.escalations",
  reports_dir: "paths.reports",
};
const KEPT_OF_ROLE: Readonly<Record<string, string>> = {
  daily_cap_usd: "dailyCapUsd",
  dispatch_reservation_usd: "reservationUsd",
  allowed_tools: "allowedTools",
  prompt: "prompt",
};

/** Converts the text of the `producer.yaml` of a folder; the values are checked later. Faults `settings.unreadable`. */
export async function importProducer(folder: string, text: string): Promise<Imported> {
  const { parse } = await import("yaml");
  let found: unknown;
  try {
    found = parse(text);
  } catch (error) {
    throw unreadable((error as Error).message);
  }
  if (!isObject(found)) throw unreadable("it has no settings");
  const settings: Record<string, unknown> = {};
  const remarks: string[] = [];
  const root = typeof found["project_root"] === "string" ? found["project_root"] : ".";
  const inRoot = (path: unknown, ...more: string[]) =>
    typeof path === "string" ? relative(folder, resolve(folder, root, path, ...more)) || "." : path;
  for (const [key, value] of leavesOf(found)) {
    const path = KEPT_PATHS[key];
    if (path !== undefined) setAt(settings, path, inRoot(value));
    else if (KEPT[key] !== undefined) setAt(settings, KEPT[key], value);
    else if (key === "ledger_db") remarks.push("ledger_db: mu keeps tasks in its own database; they are not imported");
    else if (key !== "project_root") remarks.push(`${key}: has no counterpart`);
  }
  if (relative(folder, resolve(folder, root)) !== "") remarks.push(`project_root: paths now begin with ${root}`);
  if (typeof found["reports_dir"] === "string") {
    setAt(settings, "paths.needsAttention", inRoot(found["reports_dir"], "needs-attention.md"));
  }
  settings["roles"] = rolesOf(found, inRoot, remarks);
  return { settings, remarks };
}

/** Every value with its dotted key, but those of roles. */
function leavesOf(found: Readonly<Record<string, unknown>>): [string, unknown][] {
  return Object.entries(found).flatMap(([key, value]): [string, unknown][] => {
    if (!["notifications", "budget", "auth"].includes(key) || !isObject(value)) return [[key, value]];
    const inner = Object.entries(value).map(([name, one]): [string, unknown] => [`${key}.${name}`, one]);
    return inner.filter(([name]) => name !== "budget.agents");
  });
}

function rolesOf(found: Readonly<Record<string, unknown>>, inRoot: (path: unknown) => unknown, remarks: string[]) {
  const agents = isObject(found["budget"]) ? found["budget"]["agents"] : undefined;
  const roles = Object.entries(isObject(agents) ? agents : {}).map(([given, values]) => {
    const name = slug(given);
    if (name !== given) remarks.push(`${quote(given)}: the role is called ${name} now`);
    const role: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(isObject(values) ? values : {})) {
      const kept = KEPT_OF_ROLE[key];
      if (kept === undefined) remarks.push(`budget.agents.${given}.${key}: has no counterpart`);
      else role[kept] = kept === "prompt" ? inRoot(value) : value;
    }
    return [name, role];
  });
  if (isObject(agents) && "producer" in agents) {
    remarks.push("producer: is a role like any other; mu asks no model to dispatch, so that costs nothing");
  }
  return Object.fromEntries(roles);
}

function unreadable(reason: string): Fault {
  return new Fault("usage", "settings.unreadable", `The producer.yaml cannot be read: ${reason.slice(0, 200)}.`);
}
