import { workspaceDiff } from "../../workspaces/inspect.js";
import { defineAgentVerb } from "../define.js";
import { flag, optionalText } from "../fields.js";

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
