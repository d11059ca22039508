import { join } from "node:path";
import { asObject, asText } from "../../json.js";
import { meterOfLines } from "../meter.js";
import { usageOfMessage } from "./result.js";

/** Claude Code's transcripts, those of subagents too: an entry per block of an answer, each with the tokens of the whole. */
export const claudeMeter = meterOfLines(
  (env) => join(env["CLAUDE_CONFIG_DIR"] ?? join(env["HOME"] ?? "", ".claude"), "projects"),
  (lines) =>
    lines.flatMap(({ type, timestamp, message }) => {
      const answer = asObject(message);
      if (type !== "assistant" || answer["usage"] === undefined) return [];
      const usage = usageOfMessage(asText(answer["model"]) ?? "", asObject(answer["usage"]));
      return [{ at: Date.parse(asText(timestamp) ?? ""), key: asText(answer["id"]) ?? "", usage }];
    }),
);
