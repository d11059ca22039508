import type { Flavour } from "../flavour.js";
import { namedViews } from "./0006-named-views.js";

/** Which commits of a task were approved, its pull request, and where a comment of a review is. */
export const reviews = (flavour: Flavour): string[] => [
  "alter table tasks add column approved_commit text",
  "alter table tasks add column approved_from text",
  "alter table tasks add column approved_by text",
  "alter table tasks add column pull_request text",
  "alter table task_notes add column round integer",
  "alter table task_notes add column file text",
  "alter table task_notes add column line integer",
  "alter table task_notes add column handled_at text",
  "alter table task_notes add column handled_by text",
  // PostgreSQL settles the columns of a view when it is made.
  ...namedViews(flavour),
];
