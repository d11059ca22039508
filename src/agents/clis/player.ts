import { findLastRow, type Geometry, type Row } from "../screen/screen.js";
import type { AgentCli } from "./cli.js";

const RULE = /^─{3,}/;
const FOOTER = /^player · (?:ready|working)/;
const DIALOG = /^Allow this command\? {2}\[y\] yes {2}\[n\] no/;

/** The scripted agent that plays in `mu demo` and in tests: a composer, a spinner and a permission dialog. */
export const player: AgentCli = {
  key: "player",
  command: "mu-player",
  interrupt: ["Escape"],
  pasteEnterDelayMs: 60,
  homeColumn: () => 2,
  proof: { by: "composer", pasted: /^> \[paste #\d+/, queued: /Working… · \d+ queued/ },
  reading: {
    by: "screen",
    findGeometry,
    turnStart: /^> /,
    rules: [
      {
        name: "player.permission",
        status: "needs_permission",
        reason: "asks for permission",
        when: { in: "dialog", last: 1, line: DIALOG },
      },
      {
        name: "player.working",
        status: "busy",
        reason: "$line",
        when: { in: "footer", line: /^player · working/ },
      },
      { name: "player.error", status: "idle", reason: "$line", when: { in: "above", last: 1, line: /^Error: / } },
      { name: "player.ready", status: "idle", reason: "ready for a prompt", when: { in: "footer", line: FOOTER } },
    ],
  },
};

function findGeometry(rows: readonly Row[]): Geometry {
  const footer = findLastRow(rows, FOOTER);
  const rule = findLastRow(rows, RULE, footer < 0 ? rows.length : footer);
  if (rule < 0) return {};
  if (footer < 0) return { dialog: rule };
  return { composer: { top: rule, input: rule + 1, bottom: footer - 1 } };
}
