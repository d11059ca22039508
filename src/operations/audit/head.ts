import * as z from "zod";
import { auditHead, CHAIN_HEAD } from "../../journal/audit.js";
import { workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { listOf } from "../shapes.js";

export const auditHeadOperation = defineOperation({
  name: "audit.head",
  summary: "Print the heads of the chains, to store them elsewhere",
  description:
    "Someone who can rewrite the database can rewrite a whole chain with its head. A head stored elsewhere, in a commit or a mail, reveals even that.",
  effect: "read",
  input: () => z.strictObject({ workstream: workstreamField() }),
  output: () => listOf(CHAIN_HEAD),
  examples: [
    { command: "mu audit head", shows: "one line per chain" },
    { command: "mu audit head --short", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  async run({ context }, { workstream }) {
    const items = await auditHead(context.store.db, workstream);
    return { items, count: items.length };
  },
  render: ({ items }) => items.map(({ scope, n, head }) => `${scope || "-"} ${n} ${head}`).join("\n"),
});
