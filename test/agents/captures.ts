import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { ScreenStatus } from "../../src/agents/screen/screen.js";

/**
 * Where the recorded panes are: `<cli>/<nn>-<state>.{txt,ansi,meta}` at 120×40, and
 * `<cli>/<version>-<colours>-<size>/<nn>-<state>.{ansi,meta}`, which `test/agents-real/record.ts` writes.
 */
export const CAPTURES = fileURLToPath(new URL("../fixtures/captures/", import.meta.url));

export interface Capture {
  cli: string;
  name: string;
  path: string;
}

/** Every recorded pane of every CLI; those of other versions, colours and sizes are `nested` in folders of their own. */
export function listCaptures({ nested = true } = {}): Capture[] {
  return readdirSync(CAPTURES, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".meta") && (nested || file.split("/").length === 2))
    .map((file) => file.slice(0, -".meta".length))
    .map((path) => ({ cli: path.split("/")[0] ?? "", name: path.slice(path.indexOf("/") + 1), path: CAPTURES + path }));
}

export interface Expected {
  status: ScreenStatus;
  draft: boolean;
  /** What the reason must speak of. */
  reason?: RegExp;
}

/** What the name of a recorded pane says about the agent; the first that fits. */
const MEANINGS: readonly (readonly [RegExp, Omit<Expected, "draft">])[] = [
  [/-exit$/, { status: "terminated", reason: /status \d+.*connect/i }],
  [/no-models/, { status: "needs_input", reason: /no models/i }],
  [/needs-input-question/, { status: "needs_input" }],
  [/needs-input-(?:permission|confirm)|trust-dialog|api-key-dialog|fresh-home-dialog/, { status: "needs_permission" }],
  [/-retrying/, { status: "busy", reason: /./ }],
  [/busy-|queued-|long-paste-submitted|still-busy/, { status: "busy" }],
  [/error/, { status: "idle", reason: /^error: ./i }],
  [/interrupted/, { status: "idle", reason: /interrupted/ }],
  [/idle|finished|after-|typed/, { status: "idle" }],
];

/** The status that a recorded pane must be read as. */
export function expectedOf(name: string): Expected {
  const meaning = MEANINGS.find(([pattern]) => pattern.test(name))?.[1];
  if (!meaning) throw new Error(`the name ${name} does not say what the pane shows`);
  return { ...meaning, draft: /-typed/.test(name) };
}
