import { auditHead, CHAIN_HEAD } from "../../journal/audit.js";
import { workstreamField } from "../fields.js";
import { defineOperation, listed, listOf } from "../operation.js";

export const auditHeadOperation = defineOperation({
  name: "audit.head",
  summary: "Print the heads of the chains, to store them elsewhere",
  description:
    "Someone who can rewrite the database can rewrite a whole chain with its head. A head stored elsewhere, in a commit or a mail, reveals even that.",
  effect: "read",
  input: () => ({ workstream: workstreamField("chain") }),
  output: listOf(CHAIN_HEAD),
  examples: [
    { command: "mu audit head", shows: "one line per chain" },
    { command: "mu audit head --short", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  async run({ context }, { workstream }) {
    return listed(await auditHead(context.store.db, workstream));
  },
  render: ({ items }) => items.map(({ scope, n, head }) => `${scope || "-"} ${n} ${head}`).join("\n"),
});
