import type { Flavour } from "../flavour.js";

/** Large texts that left their rows: the chain has their hash, this has the text. */
export const texts = ({ id }: Flavour): string[] => [
  `create table texts (
     id ${id},
     hash text not null unique,
     text text not null,
     created_at text not null
   )`,
];
