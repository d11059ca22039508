import type { AgentCli } from "./cli.js";
import { commandHeadless } from "./command-result.js";

/**
 * A login shell as an agent. It has no screen rules: it is idle while the shell itself is in the pane's foreground,
 * else busy with the program's name. A prompt is a command line. The terminal passes a line and its Enter to a shell in
 * order, so there is no delay between the two.
 */
export const shell: AgentCli = {
  key: "shell",
  command: "sh",
  interrupt: ["C-c"],
  pasteEnterDelayMs: 0,
  homeColumn: (screen) => screen.cursorX,
  proof: { by: "echo" },
  reading: { by: "shell" },
};

/**
 * Any program as an agent; `$MU_COMMAND_COMMAND` or `--command` names it. It has no screen rules and no turns: while
 * its process is alive it takes input.
 */
export const command: AgentCli = {
  key: "command",
  command: "cat",
  interrupt: [],
  pasteEnterDelayMs: 150,
  homeColumn: (screen) => screen.cursorX,
  proof: { by: "echo" },
  reading: { by: "process" },
  headless: commandHeadless,
};
