import { WORKSTREAM_SUMMARY } from "../workstreams/workstream.js";
import { defineOperation } from "./define.js";
import { underField, workstreamField } from "./fields.js";
import { overview, overviewCard } from "./state.js";

export const top = defineOperation({
  name: "top",
  summary: "Watch and steer the crew on the whole screen",
  description:
    "Shows who needs you, and the crew, its tasks, their graph, what lands, conflicts, money and the log, each by its number. Keys answer, send, attach, review and land; each is a command of mu's, which the last line shows. ? lists the keys, q leaves. --under leaves only one goal's tasks, with their landings, their part of the inbox, and the agents that work on them. Plain `mu` on a terminal does the same. Outside a workstream it lists all workstreams.",
  effect: "read",
  needs: ["terminal"],
  input: () => ({ workstream: workstreamField("any"), under: underField() }),
  output: { workstreams: [[WORKSTREAM_SUMMARY], null] },
  examples: [
    { command: "mu top", shows: "this workstream, until you leave it" },
    { command: "mu top --under deploy", shows: "only what deploy is made of, and who works on it" },
    { command: "mu top -w nowhere", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  async run(app, { workstream, under }) {
    const scope = under?.workstream ?? workstream;
    if (scope === undefined) return { workstreams: (await overview(app.context.store.db)).workstreams };
    await app.program.showTop(app, scope, under);
    return { workstreams: null };
  },
  render: ({ workstreams }, paint) => (workstreams === null ? "" : overviewCard(workstreams, paint)),
});
