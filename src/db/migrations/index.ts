import type { Migration } from "kysely";
import type { Flavour } from "../flavour.js";
import { taskGraph } from "./0001-task-graph.js";
import { crew } from "./0002-crew.js";
import { workspaces } from "./0003-workspaces.js";
import { texts } from "./0004-texts.js";

/** Every migration by its name, written for one dialect. */
export function migrations(flavour: Flavour): Record<string, Migration> {
  return {
    "0001_task_graph": taskGraph(flavour),
    "0002_crew": crew(flavour),
    "0003_workspaces": workspaces(flavour),
    "0004_texts": texts(flavour),
  };
}
