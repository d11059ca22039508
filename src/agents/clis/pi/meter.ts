import { join } from "node:path";
import { asObject, asText } from "../../json.js";
import { meterOfLines } from "../meter.js";
import { usageIn } from "./result.js";

/** pi's session files: an entry per message, each answer with its tokens and what it cost. */
export const piMeter = meterOfLines(
  (env) => join(env["PI_CODING_AGENT_DIR"] ?? join(env["HOME"] ?? "", ".pi/agent"), "sessions"),
  (lines) =>
    lines.flatMap(({ id, timestamp, message }) => {
      const answer = asObject(message);
      if (answer["role"] !== "assistant") return [];
      return [{ at: Date.parse(asText(timestamp) ?? ""), key: asText(id) ?? "", usage: usageIn(answer) }];
    }),
);
