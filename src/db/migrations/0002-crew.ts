import type { Flavour } from "../flavour.js";

/** What mu sees of agents, and the outbox of prompts to them. None of it is journalled: it changes all the time. */
export const crew = (flavour: Flavour): string[] => [...tables(flavour), ...INDEXES];

const tables = ({ id }: Flavour): string[] => [
  `create table agent_status (
     id ${id},
     agent_id integer not null unique,
     status text not null check (status in
       ('spawning', 'busy', 'needs_input', 'needs_permission', 'idle', 'free', 'unreachable', 'terminated')),
     reason text,
     "by" text not null,
     rule text,
     evidence text,
     screen_hash text,
     screen_at text,
     pane_facts text,
     spool_offset text not null default '',
     feed text,
     at text not null,
     seen_at text not null
   )`,
  `create table observations (
     id ${id},
     agent_id integer not null,
     status text not null,
     reason text,
     "by" text not null,
     rule text,
     evidence text,
     at text not null
   )`,
  `create table deliveries (
     id ${id},
     agent_id integer not null,
     workstream_id integer not null,
     agent text not null,
     task_id integer,
     sender text not null,
     text text not null,
     text_hash text not null,
     state text not null check (state in ('queued', 'pasted', 'proved', 'unproved', 'refused', 'cancelled')),
     attempt integer not null default 0,
     reason text,
     baseline text,
     created_at text not null,
     pasted_at text,
     proved_at text,
     updated_at text not null
   )`,
];

const INDEXES = [
  "create index observations_by_agent on observations (agent_id, id)",
  "create index deliveries_by_agent on deliveries (agent_id, state)",
  "create unique index deliveries_in_flight on deliveries (agent_id) where state = 'pasted'",
];
