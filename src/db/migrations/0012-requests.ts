import type { Flavour } from "../flavour.js";

/** Requests of programs that may ask again: by its key, each has one result. */
export const requests = ({ id }: Flavour): string[] => [
  `create table requests (
     id ${id},
     key text not null unique,
     body text not null,
     request_id text not null,
     action text not null,
     process text not null,
     result text,
     created_at text not null,
     finished_at text
   )`,
];
