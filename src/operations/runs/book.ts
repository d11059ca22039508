import { PAID_CLIS } from "../../agents/clis/table.js";
import { asFault } from "../../errors.js";
import type { App } from "../app.js";

/** Books what agents in panes used for tasks that they no longer hold. What fails is said, and left to the next call. */
export async function bookPanes(app: App, workstream: string): Promise<void> {
  const { db } = app.context.store;
  const paid = await db
    .selectFrom("agents as a")
    .innerJoin("workstreams as w", "w.id", "a.workstream_id")
    .select(["w.id", "w.name"])
    .where("w.name", "=", workstream)
    .where("a.cli", "in", PAID_CLIS)
    .where("a.pane", "is not", null)
    .limit(1)
    .executeTakeFirst();
  if (paid === undefined) return;
  const { bookInteractive } = await import("../../runs/interactive.js");
  await bookInteractive(await app.crew(), paid).catch((error) => {
    app.request.remark(`What it cost is not booked yet: ${asFault(error).message}`);
  });
}
