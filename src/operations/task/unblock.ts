import { unblockTask } from "../../tasks/graph.js";
import { defineEdgeVerb } from "./edge.js";

export const taskUnblock = defineEdgeVerb({
  name: "task.unblock",
  summary: "Let a task no longer wait for another",
  by: "What it shall not wait for",
  levels: false,
  change: unblockTask,
  done: "no longer waits for",
  already: "did not wait for",
  examples: [
    { command: "mu task unblock deploy --by build", shows: "deploy waits no longer for build" },
    { command: "mu task unblock deploy --by nothing", shows: "a task that is none", fault: "task.not_found" },
  ],
});
