import type { Flavour } from "../flavour.js";

/** Archives with their tasks, and the index of words that tasks and archived tasks are found by. */
export const archives = ({ id, indexWords }: Flavour): string[] => [
  `create table archives (
     id ${id},
     label text not null unique,
     description text,
     created_at text not null
   )`,
  `create table archived_tasks (
     id ${id},
     archive_id integer not null references archives (id),
     workstream text not null,
     name text not null,
     document text not null,
     updated_at text not null,
     created_at text not null,
     unique (archive_id, workstream, name)
   )`,
  "create table search_entries (id integer primary key, words text not null)",
  "create table search_marks (scope text primary key, n integer not null)",
  ...indexWords("search_entries", "search_index"),
];
