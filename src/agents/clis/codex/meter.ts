import { join } from "node:path";
import { asObject, asText } from "../../json.js";
import { meterOfLines, type Used } from "../meter.js";
import { usageOfTokens } from "./result.js";

/** Codex's rollouts: a count of tokens after each answer, repeated when only a limit is news; the model stands before it. */
export const codexMeter = meterOfLines(
  (env) => join(env["CODEX_HOME"] ?? join(env["HOME"] ?? "", ".codex"), "sessions"),
  (lines) => {
    const used: Used[] = [];
    let model = "";
    for (const { type, timestamp, payload } of lines) {
      const said = asObject(payload);
      if (type === "turn_context") model = asText(said["model"]) ?? model;
      const { total_token_usage: total, last_token_usage: last } = asObject(said["info"]);
      if (said["type"] !== "token_count" || total === undefined) continue;
      const at = Date.parse(asText(timestamp) ?? "");
      used.push({ at, key: JSON.stringify(total), usage: usageOfTokens(model, asObject(last)) });
    }
    return used;
  },
);
