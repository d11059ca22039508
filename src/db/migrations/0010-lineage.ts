import type { Flavour } from "../flavour.js";
import { namedViews } from "./0006-named-views.js";

/** Which run added a task, what its runs may cost and check, what runs made, and which caps were spoken of. */
export const lineage = (flavour: Flavour): string[] => [
  `alter table tasks add column budget_usd ${flavour.real}`,
  "alter table tasks add column max_checks integer",
  "alter table tasks add column from_run integer",
  "alter table tasks add column depth integer not null default 0",
  `create table assets (
     id ${flavour.id},
     workstream_id integer not null references workstreams (id),
     path text not null,
     kind text not null,
     version integer not null,
     sha256 text not null,
     bytes ${flavour.real} not null,
     task text,
     agent text not null,
     run integer,
     created_at text not null,
     unique (workstream_id, path, version)
   )`,
  `create table budget_notices (
     id ${flavour.id},
     workstream_id integer not null references workstreams (id),
     day text not null,
     role text not null,
     kind text not null check (kind in ('soft', 'refused', 'breached')),
     reason text not null,
     created_at text not null,
     unique (workstream_id, day, role, kind)
   )`,
  "create index tasks_by_run on tasks (from_run) where from_run is not null",
  // PostgreSQL settles the columns of a view when it is made.
  ...namedViews(flavour),
];
