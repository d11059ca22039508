import { createHash } from "node:crypto";
import type { Crew } from "../../agents/crew.js";
import { pollUntil } from "../../clock.js";
import { timestamp, wakingClock } from "../../db/context.js";
import { Fault } from "../../errors.js";
import { isProcessAlive, processIdentity } from "../../processes.js";
import { type OpsRequest, type OpsResult, sorted } from "./contract.js";

/** How long a result of another process is waited for, in ms. */
const PATIENCE_MS = 7_200_000;

/** How many of the newest requests are kept; an older key is a new one again. */
const MOST_KEPT = 10_000;

/** What a request asks for: the same key with another body is another request. */
function bodyOf({ request_id: _, idempotency_key: __, metadata: ___, ...body }: OpsRequest): string {
  return createHash("sha256")
    .update(JSON.stringify(sorted(body)))
    .digest("hex");
}

/**
 * Gives the result that a request of that key had, or takes the request on: then `keep` stores its result. Of two at once
 * the second waits for the first; what a process that died had begun is taken over. Faults `idempotency_conflict`.
 */
export async function takeRequest(
  crew: Crew,
  request: OpsRequest,
  key: string,
  signal: AbortSignal,
): Promise<{ stored: OpsResult } | { keep(result: OpsResult): Promise<void>; drop(): Promise<void> }> {
  const { store } = crew.context;
  const body = bodyOf(request);
  const process = await processIdentity(crew);
  const reserve = () =>
    store.write(async (db) => {
      const known = await db.selectFrom("requests").selectAll().where("key", "=", key).executeTakeFirst();
      if (known !== undefined) return known;
      const { request_id, action } = request;
      const now = timestamp(crew.context.clock);
      const row = { key, body, request_id, action, process, result: null, created_at: now, finished_at: null };
      await db.insertInto("requests").values(row).execute();
      return undefined;
    });
  const look = async () => {
    const known = await reserve();
    if (known === undefined) return "ours" as const;
    if (known.body !== body) throw conflict(key);
    if (known.result !== null) return { stored: JSON.parse(known.result) as OpsResult };
    if (await isProcessAlive(crew, known.process)) return undefined;
    const mine = store.write((db) =>
      db
        .updateTable("requests")
        .set({ process })
        .where("id", "=", known.id)
        .where("process", "=", known.process)
        .where("result", "is", null)
        .executeTakeFirst(),
    );
    return Number((await mine).numUpdatedRows) === 1 ? ("ours" as const) : undefined;
  };
  const clock = wakingClock(crew.context);
  const found = await pollUntil(clock, look, { everyMs: 200, timeoutMs: PATIENCE_MS, signal }).finally(() =>
    clock.end(),
  );
  if (found === undefined)
    throw new Fault("unavailable", "request.interrupted", "The wait for the first answer was interrupted.");
  if (found !== "ours") return found;
  return {
    async keep(result) {
      const columns = { result: JSON.stringify(result), finished_at: timestamp(crew.context.clock) };
      await store.write(async (db) => {
        await db.updateTable("requests").set(columns).where("key", "=", key).execute();
        const { id } = await db.selectFrom("requests").select("id").where("key", "=", key).executeTakeFirstOrThrow();
        const isOld = db.deleteFrom("requests").where("id", "<=", id - MOST_KEPT);
        await isOld.where("finished_at", "is not", null).execute();
      });
    },
    drop: async () => void (await store.write((db) => db.deleteFrom("requests").where("key", "=", key).execute())),
  };
}

const conflict = (key: string) =>
  new Fault("conflict", "idempotency_conflict", `The key ${key} belongs to another request. Use a new one.`);
