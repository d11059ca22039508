import { simulate } from "../simulator/simulate.js";

/** Plays every `step`th seed from `from` to `to`, and prints how each ended; with `stop` up to the first problem. */
const [from = 1, to = 1, step = 1, tasks = 60] = process.argv.slice(2, 6).map(Number);
for (let seed = from; seed <= to; seed += step) {
  const story = await simulate(seed, { tasks });
  process.stdout.write(`${JSON.stringify(story)}\n`);
  if (story.problem !== undefined && process.argv[6] === "stop") break;
}
