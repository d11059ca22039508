import { existsSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { interrupted } from "../errors.js";

/** Longer documents take long enough to make a thread of their own worth its start, in characters. */
const LONG = 65_536;
/** The YAML package of the built program, which such a thread can load. */
const PACKAGE = join(import.meta.dirname, "vendor", "yaml.cjs");

const READ = `
const { parentPort, workerData } = require("node:worker_threads");
const document = require(workerData.file).parseDocument(workerData.source, { prettyErrors: false });
const [error] = document.errors;
parentPort.postMessage(error ? { at: error.pos[0], problem: error.message } : { value: document.toJS(workerData.options) });`;

/** What a document holds, or its first error and where that is. */
export type YamlContent = { value: unknown } | { at: number; problem: string };

/**
 * Reads a long YAML document in a thread of its own, which is ended when `signal` is aborted; undefined for a short one.
 * Faults `request.interrupted`; throws what the parser throws.
 */
export async function readLongYaml(
  source: string,
  options: { maxAliasCount: number },
  signal?: AbortSignal,
): Promise<YamlContent | undefined> {
  if (source.length < LONG || !existsSync(PACKAGE)) return undefined;
  const worker = new Worker(READ, { eval: true, workerData: { file: PACKAGE, source, options } });
  try {
    return await new Promise<YamlContent>((resolve, reject) => {
      worker.once("message", resolve).once("error", reject);
      signal?.addEventListener("abort", () => reject(interrupted()), { once: true });
    });
  } finally {
    await worker.terminate();
  }
}
