import type { AgentCli } from "./cli.js";
import { parsePlain } from "./command.js";

/**
 * A login shell as an agent. It has no screen rules: it is idle while the shell itself is in the pane's foreground,
 * else busy with the program's name. A prompt is a command line; headless, it is a script on
 * standard input. A terminal hands a line and its Enter to a shell in order, so nothing lies between the two.
 */
export const shell: AgentCli = {
  key: "shell",
  command: "sh",
  access: { full: [], "read-only": [] },
  interactive: () => ({ args: [], env: {} }),
  resume: () => undefined,
  headless: (prompt) => ({ args: ["-s"], env: {}, stdin: prompt }),
  parseResult: parsePlain,
  pasteEnterDelayMs: 0,
  homeColumn: (screen) => screen.cursorX,
  proof: { by: "echo" },
  reading: { by: "shell" },
};
