import { recover } from "../src/crew/recover.js";
import { spawnAgent } from "../src/crew/spawn.js";
import { privateCrew } from "../test/support/crew.js";
import { PLAYER } from "../test/support/stage.js";

/** How long a crew takes to come back after `tmux kill-server`. Usage: recover.ts [agents] [cli]. */
const [agents = "20", cli = "player"] = process.argv.slice(2);
const room = await privateCrew();
const names = Array.from({ length: Number(agents) }, (_, n) => `a${n}`);
const command = cli === "player" ? { command: PLAYER.join(" ") } : {};
for (const name of names) {
  await spawnAgent(room.crew, { workstream: "demo", name }, { cli, ...command, cwd: room.server.dir });
  await room.give(`task_${name}`, name);
}
await room.server.raw("kill-server");
const start = performance.now();
const recovered = await recover(room.crew, "demo");
const seconds = (performance.now() - start) / 1000;
const panes = await room.panes();
console.log({
  seconds: seconds.toFixed(1),
  back: recovered.filter((one) => one.pane !== null).length,
  panes: panes.length,
  withOwnTask: recovered.filter((one) => one.tasks.join() === `task_${one.agent}`).length,
  primed: recovered.filter((one) => one.primed === "proved").length,
});
await room.dispose();
