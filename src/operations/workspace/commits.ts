import { COMMIT } from "../../vcs/vcs.js";
import { workspaceCommits } from "../../workspaces/inspect.js";
import { agentField, optionalText, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveAgent } from "../resolve.js";

export const workspaceCommitsOperation = defineOperation({
  name: "workspace.commits",
  summary: "List the commits of a workspace, oldest first",
  effect: "read",
  input: () => ({
    agent: agentField(),
    workstream: workstreamField(),
    since: optionalText("List commits since this ref (default: where its own work starts)", { value: "ref" }),
  }),
  output: { items: [COMMIT], count: "number", since: "string" },
  positional: ["agent"],
  examples: [
    { command: "mu workspace commits helper", shows: "what it has committed" },
    { command: "mu workspace commits nobody", shows: "an agent without a workspace", fault: "workspace.not_found" },
    { command: "mu workspace commits helper --since no-such-ref", shows: "an unknown ref", fault: "vcs.unknown_ref" },
  ],
  async run(app, { agent, workstream, since }) {
    const ref = await resolveAgent(app, agent, workstream);
    const found = await workspaceCommits(await app.crew(), ref, since);
    return { items: found.commits, count: found.commits.length, since: found.since };
  },
  render: ({ items, since }) =>
    items.length === 0
      ? `No commits since ${since.slice(0, 12)}.`
      : items.map(({ sha, subject }) => `${sha.slice(0, 12)} ${subject}`).join("\n"),
});
