import { COMMIT } from "../../vcs/vcs.js";
import { workspaceCommits, workspaceDiff } from "../../workspaces/inspect.js";
import { workspaceRow } from "../../workspaces/workspace.js";
import { defineAgentVerb } from "../define.js";
import { flag, optionalText } from "../fields.js";

export const workspacePathOperation = defineAgentVerb({
  name: "workspace.path",
  summary: "Print the path of a workspace",
  effect: "read",
  output: { path: "string" },
  examples: [
    { command: "mu workspace path helper", shows: 'for cd "$(mu workspace path helper)"' },
    { command: "mu workspace path nobody", shows: "an agent without a workspace", fault: "workspace.not_found" },
  ],
  run: async (app, ref) => ({ path: (await workspaceRow(app.context.store.db, ref)).path }),
  render: ({ path }) => path,
});

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

export const workspaceDiffOperation = defineAgentVerb({
  name: "workspace.diff",
  summary: "Show all changes of a workspace as a patch, including uncommitted and new files",
  effect: "read",
  input: () => ({
    since: optionalText("Compare with this ref (default: where its own work starts)", { value: "ref" }),
    stat: flag("Show only a summary per file"),
  }),
  output: { agent: "string", since: "string", text: "string" },
  examples: [
    { command: "mu workspace diff helper --stat", shows: "the changed files" },
    { command: "mu workspace diff nobody", shows: "an agent without a workspace", fault: "workspace.not_found" },
  ],
  async run(app, ref, { since, stat }) {
    const found = await workspaceDiff(await app.crew(), ref, { since, stat });
    return { agent: ref.name, since: found.since, text: found.text };
  },
  render: ({ text, since }) => (text.trim() === "" ? `No changes since ${since.slice(0, 12)}.` : text.trimEnd()),
});
