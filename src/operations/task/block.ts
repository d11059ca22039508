import { blockTask } from "../../tasks/graph.js";
import { defineEdgeVerb } from "./edge.js";

export const taskBlock = defineEdgeVerb({
  name: "task.block",
  summary: "Let a task wait for another",
  by: "What it waits for",
  levels: true,
  change: blockTask,
  done: "now waits for",
  already: "already waits for",
  examples: [
    { command: "mu task block docs --by build", shows: "docs wait for build" },
    { command: "mu task block docs --by build --until landed", shows: "until its work is on the target branch" },
    { command: "mu task block build --by deploy", shows: "a circle", fault: "task.cycle" },
  ],
});
