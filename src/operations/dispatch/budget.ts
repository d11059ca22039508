import * as z from "zod";
import { localTime } from "../../clock.js";
import { timestamp } from "../../db/context.js";
import { selectNotices } from "../../dispatch/notices.js";
import { MICROS } from "../../runs/run.js";
import { capState, dayOf, type Spend, spendOfDay } from "../../runs/spend.js";
import { defineOperation, type Paint } from "../define.js";
import { field, workstreamField } from "../fields.js";
import { sceneOf } from "./world.js";

const LINE = {
  role: "string",
  settledUsd: "number",
  reservedUsd: "number",
  /** Null for no cap. */
  capUsd: "number | null",
  runs: "number",
  /** Of these runs, agents in panes whose cost nobody knows; it counts as 0 here. */
  unknown: "number",
  /** Of `settledUsd`, what agents in panes used, as far as that can be told. */
  panesUsd: "number",
  /** `soft`: over the soft cap; `hit`: nothing more starts today. */
  state: ["ok", "soft", "hit"],
  /** When the soft cap was crossed, and when the first run was refused, on that day. */
  softAt: "string | null",
  refusedAt: "string | null",
} as const;

export const budget = defineOperation({
  name: "budget",
  summary: "Show what roles have spent, and their caps",
  description:
    "A UTC day at a time. What a run reserved counts until its cost is known. When a soft cap is crossed, and when the first run of a role is refused, is said once a day.",
  effect: "read",
  input: () => ({
    workstream: workstreamField(),
    day: field(
      z
        .string()
        .regex(/^\d{4}-\d\d-\d\d$/, "must be a UTC day such as 2026-01-31")
        .optional(),
      "UTC day (default: today)",
    ),
  }),
  output: { day: "string", roles: [LINE], project: LINE },
  examples: [
    { command: "mu budget", shows: "today's spend by role" },
    { command: "mu budget --day today", shows: "not a date", fault: "usage.invalid_input" },
  ],
  async run(app, { workstream, day = dayOf(timestamp(app.context.clock)) }) {
    const { settings, workstream: found } = await sceneOf(app, workstream);
    const spend = await spendOfDay(app.context.store.db, found.id, day);
    const notices = await selectNotices(app.context.store.db, found.id, day);
    const noticed = (role: string, kind: string) =>
      notices.find((one) => one.role === role && one.kind === kind)?.created_at ?? null;
    const ratio = settings.budget.softCapRatio;
    const line = (role: string, capUsd: number | null, of: typeof spend) => {
      const sum = (key: keyof Omit<Spend, "role">) => of.reduce((total, one) => total + one[key], 0);
      const [settledUsd, reservedUsd] = [sum("settled") / MICROS, sum("reserved") / MICROS];
      const state = capState((sum("settled") + sum("reserved")) / MICROS, capUsd, ratio);
      const panes = { unknown: sum("unknown"), panesUsd: sum("panes") / MICROS };
      const seen = { softAt: noticed(role, "soft"), refusedAt: noticed(role, "refused") };
      return { role, settledUsd, reservedUsd, capUsd, runs: sum("runs"), ...panes, state, ...seen };
    };
    const names = [...new Set([...Object.keys(settings.roles), ...spend.map(({ role }) => role)])].sort();
    const roles = names.map((name) =>
      line(
        name,
        settings.roles[name]?.dailyCapUsd ?? null,
        spend.filter(({ role }) => role === name),
      ),
    );
    const project = line("project", settings.budget.projectCeilingUsd, spend);
    return { day, roles, project: { ...project, softAt: null, refusedAt: null } };
  },
  render: ({ day, roles, project }, paint) => [
    paint.dim(`Spent on ${day} (UTC)`),
    paint.table(
      [...roles, project],
      [
        { head: "role", text: ({ role }) => role || "no role", max: 16 },
        { head: "runs", text: ({ runs }) => String(runs), align: "right" },
        { head: "spent", text: spentOf, align: "right" },
        { head: "reserved", text: ({ reservedUsd }) => `$${reservedUsd.toFixed(2)}`, align: "right" },
        { head: "cap", text: ({ capUsd }) => (capUsd === null ? "—" : `$${capUsd.toFixed(2)}`), align: "right" },
        { head: "", text: (line) => `${bar(line, paint)}${refusedNote(line)}` },
      ],
    ),
  ],
});

/** `~` where a part of it is what panes used, which is found in the agents' own records. */
function spentOf({ settledUsd, panesUsd, unknown }: { settledUsd: number; panesUsd: number; unknown: number }): string {
  const sum = `${panesUsd > 0 ? "~" : ""}$${settledUsd.toFixed(2)}`;
  return unknown === 0 ? sum : `${sum} + ${unknown} unknown`;
}

const refusedNote = ({ refusedAt }: { refusedAt: string | null }) =>
  refusedAt === null ? "" : ` refused since ${localTime(refusedAt)}`;

const WIDTH = 20;

function bar(
  {
    settledUsd,
    reservedUsd,
    capUsd,
    state,
  }: { settledUsd: number; reservedUsd: number; capUsd: number | null; state: string },
  paint: Paint,
): string {
  if (capUsd === null) return "";
  const part = (amount: number) => Math.min(WIDTH, Math.round((amount / Math.max(capUsd, 0.000001)) * WIDTH));
  const full = part(settledUsd);
  const drawn = `${"█".repeat(full)}${"▒".repeat(Math.max(0, part(settledUsd + reservedUsd) - full))}`.padEnd(
    WIDTH,
    "·",
  );
  const note = { ok: "", soft: " soft cap", hit: " CAP HIT" }[state as "ok" | "soft" | "hit"];
  return `${paint.dim(drawn)}${note}`;
}
