import * as z from "zod";
import { Fault } from "../errors.js";
import { describeWork } from "../journal/sentences.js";
import { type AgentRef, qualifiedName, quote, shellWord } from "../names.js";
import { getBackend } from "../vcs/backends.js";
import { restoreSalvage } from "../workspaces/restore.js";
import { getSalvage, LISTED_SALVAGE, type ListedSalvage, listSalvages } from "../workspaces/salvage.js";
import { WORKSPACE } from "../workspaces/workspace.js";
import { workstreamRow } from "../workstreams/workstream.js";
import { type App, defineOperation, listed, listOf, step } from "./define.js";
import { agentField, allField, field, workstreamField } from "./fields.js";
import { whileBusyField, whileBusyOf } from "./workspace/fields.js";
import { savedLines, savedSteps } from "./workspace/saved.js";

export const salvageList = defineOperation({
  name: "salvage.list",
  summary: "List saved work, newest first",
  description: "Includes saves that a crash left unrecorded. mu never deletes a save.",
  effect: "read",
  input: () => ({
    workstream: workstreamField("one or all", { past: true }),
    all: allField("Include all workstreams, even destroyed ones"),
  }),
  output: listOf(LISTED_SALVAGE),
  examples: [
    { command: "mu salvage list", shows: "every save" },
    { command: "mu salvage list -w nothing", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  run: async (app, { workstream }) => listed(await listSalvages(await app.crew(), workstream)),
  render: ({ items }, paint) =>
    paint.list(items, "No saved work.", [
      { head: "salvage", text: (item) => item.name },
      {
        head: "holds",
        text: ({ commits, files, ...others }) =>
          commits === null || files === null ? "?" : describeWork({ commits, files, ...others }),
      },
      { head: "saved by", text: (item) => item.reason ?? "an interrupted run" },
      { head: "", text: (item) => (item.createdAt === null ? "—" : `${paint.ago(item.createdAt)} ago`) },
    ]),
});

const salvageField = () =>
  field(z.string().min(1), "Save, as <agent>/<n> or <workstream>/<agent>/<n>", { names: "save" });

export const salvageShow = defineOperation({
  name: "salvage.show",
  summary: "Show the contents of a save",
  effect: "read",
  input: () => ({ salvage: salvageField(), workstream: workstreamField("any") }),
  output: { salvage: LISTED_SALVAGE, text: "string" },
  positional: ["salvage"],
  examples: [
    { command: "mu salvage show helper/1", shows: "its commits and files" },
    { command: "mu salvage show helper/99", shows: "no such save", fault: "salvage.not_found" },
  ],
  async run(app, { salvage: name, workstream }) {
    const crew = await app.crew();
    const salvage = await getSalvage(crew, name, workstream);
    return { salvage, text: await getBackend(salvage.backend).describe(crew, salvage.root, salvage.place) };
  },
  next: ({ salvage }) => [step("Restore it", `mu salvage restore ${salvage.name}`)],
  render: ({ salvage, text }, paint) => [
    `${paint.bold(salvage.name)} of ${salvage.root}`,
    paint.dim(`kept as ${salvage.place}`),
    text.trimEnd(),
  ],
});

export const salvageRestore = defineOperation({
  name: "salvage.restore",
  summary: "Restore saved commits and uncommitted files into a workspace",
  description:
    "The workspace must have no uncommitted changes; it is created if the agent has none. Its own commits are saved first. The save stays.",
  effect: "write",
  input: () => ({
    salvage: salvageField(),
    agent: agentField("Agent whose workspace receives it (default: the one it was saved from)").optional(),
    workstream: workstreamField("any"),
    evenIfBusy: whileBusyField(),
  }),
  output: { salvage: LISTED_SALVAGE, workspace: WORKSPACE, created: "boolean", saved: [LISTED_SALVAGE, null] },
  positional: ["salvage"],
  examples: [
    { command: "mu salvage restore helper/1 --agent second", shows: "restore into a new workspace" },
    { command: "mu salvage restore helper/99", shows: "no such save", fault: "salvage.not_found" },
    {
      command: "mu salvage restore helper/1 --agent dirty",
      shows: "a workspace with uncommitted changes",
      fault: "workspace.dirty",
    },
  ],
  async run(app, { salvage: name, agent, workstream, evenIfBusy }) {
    const crew = await app.crew();
    const salvage = await getSalvage(crew, name, workstream);
    const ref = agent ?? (await formerAgent(app, salvage));
    return { salvage, ...(await restoreSalvage(crew, salvage, ref, whileBusyOf(evenIfBusy))) };
  },
  next({ workspace, saved }) {
    const at = qualifiedName({ ...workspace, name: workspace.agent });
    return [
      step("Show its changes", `mu workspace diff ${at} --stat`),
      step("Start an agent in it", `mu agent spawn ${at} --workspace`),
      ...savedSteps(saved),
    ];
  },
  render: ({ salvage, workspace, created, saved }, paint) => [
    `Restored ${paint.bold(salvage.name)} into ${created ? "a new workspace" : "the workspace"} of ${paint.bold(workspace.agent)}: ${workspace.path}`,
    savedLines(saved),
  ],
});

/** The agent that it was saved from; its workstream may no longer exist. */
async function formerAgent(app: App, { name, workstream, agent, root }: ListedSalvage): Promise<AgentRef> {
  try {
    return { workstream: (await workstreamRow(app.context.store.db, workstream)).name, name: agent };
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== "workstream.not_found") throw error;
    const message = `${name} was saved in the workstream ${quote(workstream)}, which no longer exists.`;
    throw new Fault(error.kind, error.code, message, [
      step("Recreate the workstream", `mu workstream init ${workstream} --root ${shellWord(root)}`),
      step("Then restore the save", `mu salvage restore ${name}`),
    ]);
  }
}
