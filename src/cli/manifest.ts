import type { Verb } from "./verb.js";

/** Made by `npm run docs` from the operations, so that parsing a command line loads no schema. */
// biome-ignore format: a generated table reads best as one row a verb
export const VERBS: readonly Verb[] = [
  {"name":"workstream.init","aliases":[],"summary":"Start a workstream, and record its project folder","description":"The project folder is the current one unless --root names another. Commands that run below it then belong to this workstream. Doing it again changes nothing but a --root that is given.","effect":"write","follows":false,"arguments":[{"field":"name","description":"A letter, then up to 31 letters, digits, _ or -, lower case","required":true,"variadic":false,"type":"text"}],"options":[{"field":"root","flag":"root","aliases":[],"type":"text","value":"folder","description":"The project's folder","required":false}],"examples":[{"command":"mu workstream init shop","shows":"start a workstream for this folder"},{"command":"mu workstream init Shop","shows":"a name that cannot be","fault":"workstream.invalid_name"}]},
  {"name":"workstream.list","aliases":[],"summary":"List the workstreams with their sizes","description":"","effect":"read","follows":false,"arguments":[],"options":[],"examples":[{"command":"mu workstream list","shows":"every workstream"},{"command":"mu workstream list --all","shows":"a flag it does not have","fault":"usage.unknown_option"}]},
];
