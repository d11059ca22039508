import { ignoreFault } from "../errors.js";
import type { InboxItem } from "../notify/inbox-item.js";
import { stateFolder } from "../paths.js";
import { listWorkstreams } from "../workstreams/workstream.js";
import type { App } from "./app.js";
import type { Drawing } from "./operation.js";
import type { Paint } from "./paint.js";

/** How many of those who wait are named. */
const MOST_NAMED = 4;

/**
 * The inbox of one workstream or of all, for a verb that shows something else too: broken settings are no reason not to,
 * and for an agent it is empty, because people answer. With `looked`, the panes were read just now: they are read again
 * only for what somebody asks.
 */
export async function inboxFor(app: App, workstream: string | undefined, looked: boolean): Promise<InboxItem[]> {
  if (app.caller.kind === "agent") return [];
  const { context, request } = app;
  const { listInbox } = await import("../inbox.js");
  const { readScene } = await import("../dispatch/scene.js");
  const host =
    looked && (await doesOneAsk(app))
      ? await app.crew()
      : { context, env: request.env, stateDir: stateFolder(request.env) };
  const all = workstream === undefined ? await listWorkstreams(context.store.db) : [{ name: workstream }];
  const items: InboxItem[] = [];
  for (const { name } of all) {
    const scene = await readScene(host, name).catch(ignoreFault("settings.invalid"));
    if (scene !== undefined) items.push(...(await listInbox(host, scene)));
  }
  return items;
}

async function doesOneAsk({ context }: App): Promise<boolean> {
  const asking = context.store.db
    .selectFrom("agent_status as s")
    .innerJoin("agents as a", "a.id", "s.agent_id")
    .select("a.id")
    .where("a.closed_at", "is", null)
    .where("s.status", "in", ["needs_input", "needs_permission"]);
  return (await asking.limit(1).executeTakeFirst()) !== undefined;
}

/** `! 1 needs you: eve asks: touch by_eve.txt (2m)`; of several the first with its question. */
export function needsYouLine(items: readonly InboxItem[], paint: Paint): Drawing {
  const [first, ...others] = items;
  if (first === undefined) return false;
  const age = ({ since }: InboxItem) => (since === null ? "" : ` (${paint.ago(since)})`);
  const asks = first.kind === "permission" || first.kind === "input" ? " asks: " : ": ";
  const count = items.length === 1 ? "! 1 needs you: " : `! ${items.length} need you: `;
  const named = others.slice(0, MOST_NAMED - 1).map((item) => item.subject + age(item));
  const more = others.length < MOST_NAMED ? [] : [`${others.length - named.length} more`];
  const rest = age(first) + [...named, ...more].map((text) => `, ${text}`).join("") + (named[0] ? "; mu inbox" : "");
  return paint.alert(
    `${count}${paint.fit(`${first.subject}${asks}${first.summary}`, count.length + rest.length)}${rest}`,
  );
}
