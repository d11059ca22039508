/** All that a verb is written down with. */
export { shape, type TypeOf } from "../shape.js";
export { type App, type Request, required } from "./app.js";
export * from "./operation.js";
export type { Paint } from "./paint.js";
export { schemaOf } from "./schema-of.js";
export { defineAgentVerb, defineJobVerb, defineTaskVerb } from "./subject.js";
export * from "./text.js";
