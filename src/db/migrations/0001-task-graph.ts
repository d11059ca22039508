import type { Flavour } from "../flavour.js";

/** Workstreams, tasks with their edges and notes, agents, and the event chains that record them. */
export const taskGraph = (flavour: Flavour): string[] => [
  ...tables(flavour),
  ...INDEXES,
  ...views(flavour, "(b.status <> 'CLOSED' or e.until <> 'closed')"),
  ...flavour.appendOnly("events"),
];

const tables = ({ id, real }: Flavour): string[] => [
  `create table workstreams (
     id ${id},
     name text not null unique,
     root text,
     host text,
     settings text not null default '{}',
     created_at text not null
   )`,
  `create table agents (
     id ${id},
     workstream_id integer not null references workstreams (id),
     name text not null,
     role text,
     access text not null default 'full' check (access in ('full', 'read-only')),
     cli text not null,
     command text,
     host text,
     pane text,
     server text,
     pid integer,
     "window" text,
     session_ref text,
     spawned_at text not null,
     closed_at text,
     created_at text not null
   )`,
  `create table tasks (
     id ${id},
     workstream_id integer not null references workstreams (id),
     name text not null,
     title text not null,
     description text,
     kind text not null default 'task',
     role text,
     status text not null default 'OPEN'
       check (status in ('OPEN', 'IN_PROGRESS', 'CLOSED', 'REJECTED', 'DEFERRED')),
     hold text,
     hold_reason text,
     impact integer not null default 50 check (impact between 1 and 100),
     effort_days ${real} not null default 1 check (effort_days > 0),
     priority integer not null default 5 check (priority between 1 and 9),
     owner_id integer references agents (id),
     root_id integer references tasks (id),
     step text,
     payload text,
     tags text,
     touches text,
     attempts integer not null default 0,
     max_retries integer not null default 3,
     not_before text,
     outcome text,
     external_ref text,
     claim_generation integer not null default 0,
     lease_until text,
     lease_seconds integer,
     created_at text not null,
     updated_at text not null,
     closed_at text,
     unique (workstream_id, name)
   )`,
  `create table task_edges (
     id ${id},
     blocker_id integer not null references tasks (id),
     blocked_id integer not null references tasks (id),
     until text not null default 'closed' check (until in ('closed', 'verified', 'landed')),
     created_at text not null,
     unique (blocked_id, blocker_id),
     check (blocker_id <> blocked_id)
   )`,
  `create table task_notes (
     id ${id},
     task_id integer not null references tasks (id),
     author text not null,
     kind text not null default 'note' check (kind in ('note', 'decision', 'evidence', 'review', 'test')),
     text text not null,
     rationale text,
     created_at text not null
   )`,
  `create table chains (
     id ${id},
     scope text not null unique,
     head_n integer not null,
     head_hash text not null
   )`,
  `create table events (
     id ${id},
     scope text not null,
     n integer not null,
     group_id text not null,
     at text not null,
     actor text not null,
     op text not null,
     subject text not null,
     payload text not null,
     changes text not null,
     prev_hash text not null,
     hash text not null,
     unique (scope, n)
   )`,
];

const INDEXES = [
  "create unique index agents_open_name on agents (workstream_id, name) where closed_at is null",
  "create index tasks_by_status on tasks (workstream_id, status)",
  "create index tasks_by_owner on tasks (owner_id) where owner_id is not null",
  "create index tasks_by_root on tasks (root_id) where root_id is not null",
  "create index task_edges_by_blocker on task_edges (blocker_id, blocked_id)",
  "create index task_notes_by_task on task_notes (task_id)",
  "create index events_by_group on events (group_id)",
  "create index events_that_undo on events (id) where op = 'undo'",
];

/** The views of tasks; `unsatisfied` says of an edge `e` whether its blocker `b` still blocks. */
export const views = ({ now }: Flavour, unsatisfied: string): string[] => [
  `create view blocked as
     select t.* from tasks t
     where t.status = 'OPEN' and exists (
       select 1 from task_edges e join tasks b on b.id = e.blocker_id
       where e.blocked_id = t.id and ${unsatisfied})`,
  `create view ready as
     select t.* from tasks t
     where t.status = 'OPEN' and t.hold is null and (t.not_before is null or t.not_before <= ${now})
       and t.kind not in ('container', 'job', 'intake')
       and not exists (
         select 1 from task_edges e join tasks b on b.id = e.blocker_id
         where e.blocked_id = t.id and ${unsatisfied})`,
  `create view goals as
     select t.* from tasks t
     where t.status in ('OPEN', 'IN_PROGRESS') and not exists (
       select 1 from task_edges e join tasks d on d.id = e.blocked_id
       where e.blocker_id = t.id and d.status in ('OPEN', 'IN_PROGRESS'))`,
];
