import type { Operation } from "./operation.js";

type Loader = () => Promise<Operation>;

/** Every verb of mu and the module that holds it. A module is loaded when its verb runs. */
export const OPERATIONS: Readonly<Record<string, Loader>> = {
  complete: () => import("./complete.js").then((m) => m.complete),
  completion: () => import("./completion.js").then((m) => m.completion),
  mcp: () => import("./mcp.js").then((m) => m.mcp),
  schema: () => import("./schema.js").then((m) => m.schema),
  "workstream.init": () => import("./workstream/init.js").then((m) => m.workstreamInit),
  "workstream.list": () => import("./workstream/list.js").then((m) => m.workstreamList),
};

/** The verb `name`, or undefined. */
export async function findOperation(name: string): Promise<Operation | undefined> {
  return Object.hasOwn(OPERATIONS, name) ? OPERATIONS[name]?.() : undefined;
}

/** All verbs, sorted by name. */
export function loadOperations(): Promise<Operation[]> {
  const byName = Object.entries(OPERATIONS).sort(([a], [b]) => (a < b ? -1 : 1));
  return Promise.all(byName.map(([, load]) => load()));
}
