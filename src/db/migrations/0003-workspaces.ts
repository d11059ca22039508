import type { Flavour } from "../flavour.js";
import { views } from "./0001-task-graph.js";

/** Workspaces, what was saved of them, checks of tasks, and the way of finished work to its branch. */
export const workspaces = (flavour: Flavour): string[] => [
  ...TASK_COLUMNS,
  ...tables(flavour),
  ...INDEXES,
  ...["blocked", "ready", "goals"].map((view) => `drop view ${view}`),
  ...views(flavour, UNSATISFIED),
];

const TASK_COLUMNS = [
  "alter table tasks add column level text check (level in ('verified', 'landed'))",
  "alter table tasks add column work_agent text",
  "alter table tasks add column work_root text",
  "alter table tasks add column work_from text",
  "alter table tasks add column work_to text",
  "alter table tasks add column landed_commit text",
];

const tables = ({ id, real }: Flavour): string[] => [
  `create table workspaces (
     id ${id},
     workstream_id integer not null references workstreams (id),
     agent text not null,
     backend text not null check (backend in ('git', 'jj', 'sl', 'none')),
     root text not null,
     path text not null,
     base_ref text,
     branch text,
     state text not null check (state in ('creating', 'ready', 'freeing')),
     freed_at text,
     created_at text not null
   )`,
  `create table salvages (
     id ${id},
     workstream text not null,
     agent text not null,
     n integer not null,
     backend text not null,
     root text not null,
     place text not null,
     commit_id text,
     commits integer not null,
     files integer not null,
     reason text not null,
     created_at text not null
   )`,
  `create table checks (
     id ${id},
     task_id integer not null references tasks (id),
     author text not null,
     command text not null,
     exit_code integer,
     seconds ${real} not null,
     commit_id text,
     tree text,
     tail text not null,
     created_at text not null
   )`,
  `create table approvals (
     id ${id},
     root text not null,
     hash text not null,
     text text not null,
     actor text not null,
     created_at text not null,
     unique (root, hash)
   )`,
  `create table port_leases (
     id ${id},
     port integer not null unique,
     workspace_id integer not null,
     created_at text not null
   )`,
  `create table workspace_holds (
     id ${id},
     workspace_id integer not null unique,
     holder text not null,
     intent text,
     created_at text not null
   )`,
  `create table landings (
     id ${id},
     workstream_id integer not null,
     task_id integer not null,
     batch text not null,
     root text not null,
     branch text not null,
     state text not null check (state in ('taken', 'stacked', 'landed', 'conflict', 'red', 'dropped')),
     onto text,
     tip text,
     scratch text not null,
     process text not null,
     reason text,
     created_at text not null,
     updated_at text not null
   )`,
  `create table workspace_changes (
     id ${id},
     workspace_id integer not null unique,
     paths text not null,
     behind integer,
     ahead integer,
     dirty integer,
     seen_at text not null
   )`,
  `create table collisions (
     id ${id},
     workstream_id integer not null,
     a text not null,
     b text,
     paths text not null,
     since text not null,
     seen_at text not null
   )`,
];

const INDEXES = [
  "create unique index workspaces_open_agent on workspaces (workstream_id, agent) where freed_at is null",
  "create unique index workspaces_open_path on workspaces (path) where freed_at is null",
  "create unique index salvages_by_name on salvages (workstream, agent, n)",
  "create index task_edges_by_level on task_edges (blocked_id) where until <> 'closed'",
  "create index checks_by_task on checks (task_id)",
  "create index port_leases_by_workspace on port_leases (workspace_id)",
  "create unique index landings_under_way on landings (task_id) where state in ('taken', 'stacked')",
  "create index landings_by_task on landings (task_id)",
  "create index collisions_by_workstream on collisions (workstream_id)",
];

/** An edge may ask for more than CLOSED; as `unsatisfied` of the tasks has it. */
export const UNSATISFIED = `(b.status <> 'CLOSED'
  or (e.until = 'verified' and b.level is null)
  or (e.until = 'landed' and (b.level is null or b.level <> 'landed')))`;
