import { type Migration, sql } from "kysely";
import type { Flavour } from "../flavour.js";

/** Large texts that left their rows: the chain has their hash, this has the text. */
export function texts({ id }: Flavour): Migration {
  return {
    async up(db) {
      await sql
        .raw(`create table texts (
          id ${id},
          hash text not null unique,
          text text not null,
          created_at text not null
        )`)
        .execute(db);
    },
  };
}
