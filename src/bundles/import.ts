import type { Context } from "../db/context.js";
import { type Tx, write } from "../db/write.js";
import { shape, type TypeOf } from "../shape.js";
import { RESTORATION, type Restoration, restoreKeptIn } from "../tasks/kept.js";
import { ensureWorkstream, requireFreeName } from "../workstreams/workstream.js";
import type { Source } from "./manifest.js";
import type { Found } from "./read.js";

/** One source as it was imported: `left` says what mu could not take, a line each. */
export const IMPORTED = shape({ workstream: "string", from: "string", deleted: "number", ...RESTORATION });

export type Imported = TypeOf<typeof IMPORTED>;

export interface ImportOptions {
  /** The name of the workstream; that of the source without it. */
  as?: string | undefined;
  /** Checks everything and takes it back. */
  dryRun?: boolean | undefined;
}

/**
 * Imports each source as a new workstream, with one write. All are checked before the first is written. Faults
 * `workstream.exists`, `workstream.invalid_name`, and those of `restoreKeptIn`.
 */
export async function importSources(
  context: Context,
  sources: readonly Found[],
  { as, dryRun = false }: ImportOptions = {},
): Promise<Imported[]> {
  const imported: Imported[] = [];
  const rounds = dryRun ? ["check"] : sources.length > 1 ? ["check", "write"] : ["write"];
  for (const round of rounds) {
    imported.length = 0;
    for (const { workstream: from, tasks, deleted, left } of sources) {
      const source = { workstream: as ?? from, tasks };
      const done = await importSource(context, source, round === "check" ? "take back" : "keep");
      imported.push({ ...done, workstream: source.workstream, from, deleted, left: [...left, ...done.left] });
    }
  }
  return imported;
}

const TAKEN_BACK = new Error("this was a dry run");

async function importSource(context: Context, source: Source, then: "keep" | "take back"): Promise<Restoration> {
  const { workstream } = source;
  let done: Restoration | undefined;
  const spec = { op: "workstream.import", scope: workstream, subject: workstream };
  const work = async (tx: Tx) => {
    done = await importIn(tx, source);
    if (then === "take back") throw TAKEN_BACK;
    return done;
  };
  try {
    return await write(context, spec, work);
  } catch (error) {
    if (error !== TAKEN_BACK || done === undefined) throw error;
    return done;
  }
}

export async function importIn(tx: Tx, { workstream, tasks }: Source): Promise<Restoration> {
  await requireFreeName(tx.db, workstream);
  const { id } = await ensureWorkstream(tx, workstream);
  return restoreKeptIn(tx, id, tasks);
}
