import type { Operation } from "./operation.js";

/** Every verb of mu and the module that holds it. A module is loaded when its verb runs. */
export const OPERATIONS = {
  "workstream.init": () => import("./workstream/init.js").then((m) => m.workstreamInit),
  "workstream.list": () => import("./workstream/list.js").then((m) => m.workstreamList),
} as const satisfies Record<string, () => Promise<Operation>>;

export type OperationName = keyof typeof OPERATIONS;

/** The verb `name`; the caller knows that it exists. */
export function loadOperation(name: OperationName): Promise<Operation> {
  return OPERATIONS[name]();
}

/** All verbs, sorted by name. */
export function loadOperations(): Promise<Operation[]> {
  const names = Object.keys(OPERATIONS).sort() as OperationName[];
  return Promise.all(names.map(loadOperation));
}
