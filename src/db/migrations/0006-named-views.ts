import type { Flavour } from "../flavour.js";
import { views } from "./0001-task-graph.js";
import { UNSATISFIED } from "./0003-workspaces.js";

/** The views say of which workstream a task is: its row has an id only. */
export const namedViews = (flavour: Flavour): string[] => [
  ...["blocked", "ready", "goals"].map((view) => `drop view ${view}`),
  ...views(flavour, UNSATISFIED).map((text) => text.replace("select t.* from tasks t", WITH_NAME)),
];

const WITH_NAME = "select t.*, w.name as workstream from tasks t join workstreams w on w.id = t.workstream_id";
