import { accuracy } from "./accuracy.js";
import { agents } from "./agents.js";
import { apply } from "./apply.js";
import { audit } from "./audit.js";
import { bundles } from "./bundles.js";
import { claims } from "./claims.js";
import { close } from "./close.js";
import { conflicts } from "./conflicts.js";
import { copy } from "./copy.js";
import { crew } from "./crew.js";
import { deliveries } from "./deliveries.js";
import { dispatch } from "./dispatch.js";
import { follow } from "./follow.js";
import { interrupt } from "./interrupt.js";
import { jobs } from "./jobs.js";
import { land } from "./land.js";
import { mcp } from "./mcp.js";
import type { Figure } from "./measure.js";
import { ops } from "./ops.js";
import { past } from "./past.js";
import { ready } from "./ready.js";
import { recovery } from "./recovery.js";
import { search } from "./search.js";
import { size } from "./size.js";
import { startup, state } from "./startup.js";
import { sync } from "./sync.js";
import { top } from "./top.js";
import { tracks } from "./tracks.js";
import { ui } from "./ui.js";
import { watch } from "./watch.js";
import { workspaces } from "./workspaces.js";

const GROUPS: Readonly<Record<string, () => Promise<Figure[]>>> = {
  startup,
  state,
  tracks,
  ready,
  search,
  claims,
  crew,
  apply,
  audit,
  past,
  size,
  bundles,
  dispatch,
  jobs,
  follow,
  mcp,
  ops,
  interrupt,
  agents,
  deliveries,
  watch,
  top,
  ui,
  accuracy,
  recovery,
  close,
  land,
  workspaces,
  copy,
  conflicts,
  sync,
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => GROUPS[name] === undefined);
if (unknown.length > 0) {
  console.error(`There is no ${unknown.join(" and no ")}. There are: ${Object.keys(GROUPS).join(", ")}.`);
  process.exitCode = 2;
} else {
  void run(asked.length > 0 ? asked : Object.keys(GROUPS));
}

/** Prints the table, a group at a time as it is measured. */
async function run(names: readonly string[]): Promise<void> {
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));
  console.log("Times are the processor's (user and system), medians of runs in turns with the floor.\n");
  console.log("| what | floor | figure | bar | met |\n| --- | --- | --- | --- | --- |");
  for (const name of names) {
    for (const { what, floor, figure, bar, met } of (await GROUPS[name]?.()) ?? []) {
      console.log(`| ${what} | ${floor} | ${figure} | ${bar} | ${met === undefined ? "–" : met ? "yes" : "**no**"} |`);
    }
  }
}
