import { localTime } from "../../clock.js";
import { BUDGET, type BudgetLine, readBudget } from "../../dispatch/budget.js";
import { defineOperation, type Paint } from "../define.js";
import { dayField, workstreamField } from "../fields.js";
import { sceneOf } from "./world.js";

export const budget = defineOperation({
  name: "budget",
  summary: "Show what roles have spent, and their caps",
  description:
    "A UTC day at a time. What a run reserved counts until its cost is known. When a soft cap is crossed, when what runs cost is over a cap, and when the first run of a role is refused, is said once a day.",
  effect: "read",
  input: () => ({
    workstream: workstreamField(),
    day: dayField("UTC day (default: today)"),
  }),
  output: BUDGET,
  examples: [
    { command: "mu budget", shows: "today's spend by role" },
    { command: "mu budget --day today", shows: "not a date", fault: "usage.invalid_input" },
  ],
  run: async (app, { workstream, day }) => readBudget(app.context, await sceneOf(app, workstream), day),
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
        { head: "", text: (line) => `${bar(line, paint)}${notes(line)}` },
      ],
    ),
  ],
});

/** `~` where a part of it is what panes used, which is found in the agents' own records. */
function spentOf({ settledUsd, panesUsd, unknown }: BudgetLine): string {
  const sum = `${panesUsd > 0 ? "~" : ""}$${settledUsd.toFixed(2)}`;
  return unknown === 0 ? sum : `${sum} + ${unknown} unknown`;
}

const notes = ({ breachedAt, refusedAt }: BudgetLine) =>
  `${since("over it", breachedAt)}${since("refused", refusedAt)}`;
const since = (what: string, at: string | null) => (at === null ? "" : ` ${what} since ${localTime(at)}`);

const WIDTH = 20;

function bar({ settledUsd, reservedUsd, capUsd, state }: BudgetLine, paint: Paint): string {
  if (capUsd === null) return "";
  const part = (amount: number) => Math.min(WIDTH, Math.round((amount / Math.max(capUsd, 0.000001)) * WIDTH));
  const full = part(settledUsd);
  const drawn = `${"█".repeat(full)}${"▒".repeat(Math.max(0, part(settledUsd + reservedUsd) - full))}`.padEnd(
    WIDTH,
    "·",
  );
  const note = { ok: "", soft: " soft cap", hit: " CAP HIT" }[state];
  return `${paint.dim(drawn)}${note}`;
}
