import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Json } from "../json.js";
import type { ModelUsage } from "./headless.js";
import { jsonLines, sumUsage } from "./results.js";

/** What one answer of the model used. */
export interface Used {
  /** ms since the epoch. */
  at: number;
  /** Names the answer: a conversation may have it more than once, of which the last counts. */
  key: string;
  usage: ModelUsage;
}

type Env = Readonly<Record<string, string | undefined>>;

/** Reads what a CLI's conversation used from the CLI's own records. */
export type Meter = (env: Env, session: string) => Promise<readonly Used[] | undefined>;

/** What a conversation used from one moment to another, in ms, by model; undefined where the CLI has no record of it. */
export async function usedBetween(
  meter: Meter,
  env: Env,
  { session, from, to }: { session: string; from: number; to: number },
): Promise<ModelUsage[] | undefined> {
  const used = await meter(env, session);
  if (used === undefined) return undefined;
  const answers = [...new Map(used.map((one) => [one.key, one])).values()];
  return sumUsage(answers.flatMap(({ at, usage }) => (at >= from && at < to ? [usage] : [])));
}

/** A meter for CLIs that write a conversation as lines of JSON, to files below a folder with its id in their path. */
export function meterOfLines(folder: (env: Env) => string, read: (lines: readonly Json[]) => Used[]): Meter {
  return async (env, session) => {
    const root = folder(env);
    const all = await readdir(root, { recursive: true }).catch(() => []);
    const files = all.filter((path) => path.endsWith(".jsonl") && path.includes(session)).sort();
    if (files.length === 0) return undefined;
    const texts = await Promise.all(files.map((path) => readFile(join(root, path), "utf8")));
    return texts.flatMap((text) => read(jsonLines(text)));
  };
}
