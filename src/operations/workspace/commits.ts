import { COMMIT } from "../../vcs/vcs.js";
import { workspaceCommits } from "../../workspaces/inspect.js";
import { defineAgentVerb } from "../define.js";
import { optionalText } from "../fields.js";

export const workspaceCommitsOperation = defineAgentVerb({
  name: "workspace.commits",
  summary: "List the commits of a workspace, oldest first",
  effect: "read",
  input: () => ({
    since: optionalText("List commits since this ref (default: where its own work starts)", { value: "ref" }),
  }),
  output: { items: [COMMIT], count: "number", since: "string" },
  examples: [
    { command: "mu workspace commits helper", shows: "what it has committed" },
    { command: "mu workspace commits nobody", shows: "an agent without a workspace", fault: "workspace.not_found" },
    { command: "mu workspace commits helper --since no-such-ref", shows: "an unknown ref", fault: "vcs.unknown_ref" },
  ],
  async run(app, ref, { since }) {
    const found = await workspaceCommits(await app.crew(), ref, since);
    return { items: found.commits, count: found.commits.length, since: found.since };
  },
  render: ({ items, since }) =>
    items.length === 0
      ? `No commits since ${since.slice(0, 12)}.`
      : items.map(({ sha, subject }) => `${sha.slice(0, 12)} ${subject}`).join("\n"),
});
