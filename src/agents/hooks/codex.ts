import { type HookKit, hookLine } from "./kit.js";

/**
 * Codex starts its `notify` program at the end of each turn, with the event as its argument. There is no install that
 * stays: `notify` is one program, and the user may have one.
 */
export const codexHooks: HookKit = {
  cli: "codex",
  agentFile: {
    name: "codex-notify",
    text: `#!/bin/sh\nprintf '%s' "$1" | { ${hookLine("notify")}; }\n`,
    executable: true,
  },
};
