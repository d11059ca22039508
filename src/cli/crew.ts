import { execProgram } from "../exec.js";
import { askOwnServer, type PaneIdentityFacts } from "../tmux/panes.js";

/** Asks the server that this process sits in who a pane is. */
export function askProcessPane(
  pane: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<PaneIdentityFacts | undefined> {
  return askOwnServer({ exec: execProgram, env })(pane);
}
