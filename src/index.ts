export { Fault } from "./errors.js";
export { initWorkstream, listWorkstreams } from "./workstreams.js";
