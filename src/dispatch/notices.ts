import { timestamp } from "../db/context.js";
import type { Reader } from "../db/schema.js";
import { write } from "../db/write.js";
import type { Host } from "../host.js";
import { micros } from "../runs/run.js";
import { dayOf } from "../runs/spend.js";
import { dollars, type Facts, type Wait } from "./decide.js";
import type { Scene } from "./facts.js";

/** As which the project stands beside its roles: no role has that name. */
export const PROJECT = "*";

interface Notice {
  role: string;
  /** `soft`: the soft cap is crossed; `refused`: a run did not start for want of money; `breached`: what runs cost is over a cap. */
  kind: "soft" | "refused" | "breached";
  reason: string;
}

/** What a decision says of the day's caps: at most one notice of a kind for each role. */
export function noticesOf({ settings, spend }: Facts, wait: readonly Wait[]): Notice[] {
  const { roles, budget } = settings;
  const soft = spend.flatMap(({ role, settled, reserved }): Notice[] => {
    const cap = roles[role]?.dailyCapUsd;
    const used = settled + reserved;
    if (!cap || used < micros(cap * budget.softCapRatio)) return [];
    return [{ role, kind: "soft", reason: `${role} has used ${dollars(used)} of ${dollars(micros(cap))} today` }];
  });
  const over = (role: string, whose: string, settled: number, cap: number | null | undefined): Notice[] => {
    if (cap == null || settled <= micros(cap)) return [];
    const reason = `${whose} has spent ${dollars(settled)} of ${dollars(micros(cap))} today; results are kept`;
    return [{ role, kind: "breached", reason }];
  };
  const all = spend.reduce((sum, { settled }) => sum + settled, 0);
  const breached = [
    ...spend.flatMap(({ role, settled }) => over(role, role, settled, roles[role]?.dailyCapUsd)),
    ...over(PROJECT, "the project", all, budget.projectCeilingUsd),
  ];
  const refused = new Map<string, Notice>();
  for (const { role, code, task, why } of wait) {
    if ((code !== "role_cap" && code !== "project_ceiling") || refused.has(role)) continue;
    refused.set(role, { role, kind: "refused", reason: `${task} did not start: ${why}` });
  }
  return [...soft, ...breached, ...refused.values()];
}

/** Keeps notices that nobody has kept today, each with an event; gives what is new. */
export async function keepNotices(
  { context }: Host,
  { workstream }: Scene,
  notices: readonly Notice[],
): Promise<Notice[]> {
  if (notices.length === 0) return [];
  const day = dayOf(timestamp(context.clock));
  const isKnown = (known: readonly { role: string; kind: string }[], { role, kind }: Notice) =>
    known.some((one) => one.role === role && one.kind === kind);
  const known = await selectNotices(context.store.db, workstream.id, day);
  const kept: Notice[] = [];
  for (const notice of notices.filter((one) => !isKnown(known, one))) {
    const { role, kind, reason } = notice;
    const subject = role === PROJECT ? workstream.name : `${workstream.name}/${role}`;
    const spec = { op: `budget.${kind}`, scope: workstream.name, subject };
    const isNew = await write(context, spec, async (tx) => {
      // Another dispatcher may have been first.
      if (isKnown(await selectNotices(tx.db, workstream.id, day), notice)) return false;
      await tx.insert("budget_notices", { workstream_id: workstream.id, day, role, kind, reason });
      return true;
    });
    if (isNew) kept.push(notice);
  }
  return kept;
}

/** What was said of the caps of a workstream, by row id, on a UTC day. */
export function selectNotices(db: Reader, workstreamId: number, day: string) {
  return db
    .selectFrom("budget_notices")
    .select(["role", "kind", "created_at"])
    .where("workstream_id", "=", workstreamId)
    .where("day", "=", day)
    .execute();
}
