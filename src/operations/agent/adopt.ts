import * as z from "zod";
import type { Crew } from "../../agents/crew.js";
import { ADOPTED, type Adopted, adoptAgent, lackingVariables } from "../../crew/adopt.js";
import { shellWord } from "../../names.js";
import { sessionOf } from "../../workstreams/workstream.js";
import { defineOperation, step } from "../define.js";
import { field, flag, workstreamField } from "../fields.js";
import { cliField } from "./shapes.js";

export const agentAdopt = defineOperation({
  name: "agent.adopt",
  aliases: ["adopt"],
  summary: "Adopt a pane that mu did not open as an agent",
  description:
    "The pane stays in its session unless --move is given. A session ends with its last pane, so --move can end the one that the pane leaves.",
  effect: "write",
  unadopted: true,
  input: () => ({
    pane: field(z.string().min(1), "Pane, as %7, or its title"),
    workstream: workstreamField(),
    name: field(z.string().optional(), "Agent name (default: the pane's title)"),
    cli: cliField("CLI that runs in the pane (default: what its processes, title and screen show)"),
    role: field(z.string().min(1).max(64).optional(), "Role: what the agent is for", { completes: "role" }),
    move: flag("Take the pane out of its session into a window of the workstream's"),
    access: field(z.enum(["full", "read-only"]).optional(), "File access"),
  }),
  output: { ...ADOPTED },
  positional: ["pane"],
  examples: [
    { command: "mu agent adopt stray", shows: "adopt the pane titled stray" },
    { command: "mu agent adopt %4999 --name worker-1", shows: "an unknown pane", fault: "pane.not_found" },
    { command: "mu adopt %4999 -w nothing", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  run: async (app, { pane, workstream, ...options }) => adoptAgent(await app.crew(), workstream, pane, options),
  next: async (adopted, _, app) => nextSteps(await app.crew(), adopted as Adopted),
  render: ({ agent, alreadyAdopted, moved, session }, paint) =>
    `${alreadyAdopted ? "Already adopted:" : "Adopted"} ${paint.bold(agent.name)} (${agent.cli}), pane ${agent.pane}, ${moved ? "moved to" : "in"} session ${session}`,
});

/** A shell that was opened elsewhere does not know the database; one in the workstream's session does. */
async function nextSteps(crew: Crew, { agent, session }: Adopted) {
  const { workstream, name, pane } = agent;
  const isHome = session === sessionOf(workstream);
  const lacking = isHome ? [] : await lackingVariables(crew, agent);
  return [
    ...(lacking.length > 0
      ? [step("Type this in the pane first, so that mu finds its database", exportLine(lacking))]
      : []),
    ...(isHome ? [] : [step("Move it to the workstream's session", `mu agent adopt ${pane} --move -w ${workstream}`)]),
    step("Show it", `mu agent show ${workstream}/${name}`),
    step("List the agents", `mu agent list -w ${workstream}`),
  ];
}

const exportLine = (lacking: [string, string][]) =>
  `export ${lacking.map(([name, value]) => `${name}=${shellWord(value)}`).join(" ")}`;
