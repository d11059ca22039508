import type { Flavour } from "../flavour.js";
import { namedViews } from "./0006-named-views.js";

/** Who had a task where it was kept or imported from. */
export const formerOwner = (flavour: Flavour): string[] => [
  "alter table tasks add column former_owner text",
  // PostgreSQL settles the columns of a view when it is made.
  ...namedViews(flavour),
];
