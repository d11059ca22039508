import type { AgentCli } from "./cli.js";

/**
 * Any program as an agent; `$MU_COMMAND_COMMAND` or `--command` names it. It has no screen rules and no turns: while
 * its process is alive it takes input.
 */
export const command: AgentCli = {
  key: "command",
  command: "cat",
  access: { full: [], "read-only": [] },
  interactive: () => ({ args: [], env: {} }),
  resume: () => undefined,
  pasteEnterDelayMs: 150,
  homeColumn: (screen) => screen.cursorX,
  proof: { by: "echo" },
  reading: { by: "process" },
};
