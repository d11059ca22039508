import { existsSync } from "node:fs";
import { join } from "node:path";
import { connect } from "../../../db/sqlite/connect.js";
import { asObject } from "../../json.js";
import type { Meter } from "../meter.js";
import { jsonIn } from "../results.js";
import { usageIn } from "./result.js";

/** OpenCode's database: a row per message, those of subagents in conversations of their own. */
export const opencodeMeter: Meter = async (env, session) => {
  const data = env["XDG_DATA_HOME"] ?? join(env["HOME"] ?? "", ".local/share");
  const file = join(data, "opencode/opencode.db");
  if (!existsSync(file)) return undefined;
  const connection = connect(file, { readonly: true, timeout: 1_000 });
  try {
    const rows = connection
      .prepare(
        `select id, time_created as at, data from message
         where session_id in (select id from session where id = ? or parent_id = ?)`,
      )
      .all([session, session]) as { id: string; at: number; data: string }[];
    return rows.flatMap(({ id, at, data: text }) => {
      const message = asObject(jsonIn(text));
      const model = String(message["modelID"] ?? "");
      return message["role"] === "assistant" ? [{ at, key: id, usage: { ...usageIn(message), model } }] : [];
    });
  } finally {
    connection.close();
  }
};
