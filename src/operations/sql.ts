import * as z from "zod";
import { querySql, writeSql } from "../journal/sql.js";
import { counted } from "../names.js";
import { defineOperation, NEXT_STEPS, readMeant, schemaOf, step } from "./define.js";
import { field, flag } from "./fields.js";

export const sql = defineOperation({
  name: "sql",
  summary: "Query the database with SQL",
  description:
    "Read-only by default; --json prints an array of rows. With --write it accepts INSERT, UPDATE and DELETE in one transaction, records an event with the rows before and after, and can be undone. The views ready, blocked and goals answer common questions; their column workstream is its name.",
  effect: "write",
  writes: ({ write }) => write,
  acts: ["ends"],
  input: () => ({
    query: field(
      z.string().min(1).max(1_048_576),
      "A query; with --write one or more statements; - reads standard input",
    ),
    write: flag("Allow writes"),
    confirmRows: field(z.number().int().min(0).optional(), "Roll back unless exactly this many rows change", {
      value: "n",
    }),
  }),
  output: () =>
    z.union([schemaOf("object[]"), schemaOf({ changes: "number", rows: "object[]", nextSteps: NEXT_STEPS })]),
  positional: ["query"],
  examples: [
    { command: "mu sql 'select name, status from tasks' --json", shows: "rows for jq" },
    {
      command: "mu sql --write \"update tasks set impact = 60 where name = 'build'\" --confirm-rows 1",
      shows: "change one row",
    },
    { command: "mu sql 'delete from tasks'", shows: "a change without --write", fault: "sql.not_a_read" },
  ],
  async run({ context, program, request }, { query, write, confirmRows }) {
    const text = query === "-" ? await readMeant(request, "-") : query;
    if (!write && request.endAtSignals !== undefined) {
      request.endAtSignals();
      return querySql(context, text);
    }
    if (program.runApart !== undefined) {
      const confirmed = confirmRows === undefined ? [] : ["--confirm-rows", String(confirmRows)];
      return program.runApart(["sql", "-", ...(write ? ["--write"] : []), ...confirmed], text, request) as never;
    }
    if (!write) return querySql(context, text);
    const { changes, rows } = await writeSql(context, text, { confirmRows });
    return { changes, rows, nextSteps: changes > 0 ? [step("Undo it", `mu undo ${context.group} --yes`)] : [] };
  },
  render: (result, paint) => {
    const rows = Array.isArray(result) ? result : result.rows;
    const done = Array.isArray(result) ? "No rows." : `${counted(result.changes, "row")} changed`;
    if (rows.length === 0) return done;
    const columns = Object.keys(rows[0] ?? {}).map((head) => ({
      head,
      text: (row: Record<string, unknown>) => (row[head] === null ? "—" : String(row[head])),
      always: true as const,
    }));
    return paint.table(rows, columns);
  },
});
