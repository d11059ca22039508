import type { Json } from "./crew.js";

/** What a CLI says that its turns cost, from what it printed in each. Claude's total counts on in a resumed conversation. */
export const SAID_COST: Readonly<Record<string, (turns: readonly string[]) => number>> = {
  claude: (turns) => JSON.parse(turns.at(-1) ?? "").total_cost_usd,
  pi: (turns) => {
    const events: Json[] = turns
      .join("")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const answers = events.filter(({ type, message }) => type === "message_end" && message.role === "assistant");
    return answers.reduce((sum, { message }) => sum + message.usage.cost.total, 0);
  },
};
