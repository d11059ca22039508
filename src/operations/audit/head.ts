import * as z from "zod";
import { auditHead, CHAIN_HEAD } from "../../journal/audit.js";
import { workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { listOf } from "../shapes.js";

export const auditHeadOperation = defineOperation({
  name: "audit.head",
  summary: "Print the heads of the chains, to keep them somewhere else",
  description:
    "Whoever can rewrite the database can rewrite a whole chain and its head. A head that is kept elsewhere, in a commit or a mail, finds even that.",
  effect: "read",
  input: () => z.strictObject({ workstream: workstreamField() }),
  output: () => listOf(CHAIN_HEAD),
  examples: [
    { command: "mu audit head", shows: "one line a chain" },
    { command: "mu audit head --short", shows: "a flag it does not have", fault: "usage.unknown_option" },
  ],
  async run({ context }, { workstream }) {
    const items = await auditHead(context.store.db, workstream);
    return { items, count: items.length };
  },
  render: ({ items }) => items.map(({ scope, n, head }) => `${scope || "-"} ${n} ${head}`).join("\n"),
});
