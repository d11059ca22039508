import type { EventEmitter } from "node:events";

/** A place where answers wait until a test lets them go. Once open it stays open. */
interface Gate {
  /** Resolves when the first answer stands before the gate. */
  reached: Promise<void>;
  reach(): void;
  opened: Promise<void>;
  open(): void;
}

/** Gates by name; one exists as soon as it is mentioned. */
export interface Gates {
  at(name: string): Gate;
  /** Waits for the gate; false when the client went away meanwhile. */
  pass(name: string, client: EventEmitter): Promise<boolean>;
}

export function createGates(): Gates {
  const gates = new Map<string, Gate>();
  const at = (name: string) => {
    const gate = gates.get(name) ?? createGate();
    gates.set(name, gate);
    return gate;
  };
  return {
    at,
    pass(name, client) {
      const gate = at(name);
      const left = new Promise<boolean>((resolve) => client.once("close", () => resolve(false)));
      gate.reach();
      return Promise.race([gate.opened.then(() => true), left]);
    },
  };
}

function createGate(): Gate {
  const { promise: reached, resolve: reach } = createSignal();
  const { promise: opened, resolve: open } = createSignal();
  return { reached, reach, opened, open };
}

function createSignal(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
