import { type Store, withParts } from "../db/store.js";
import type { World } from "./execute.js";

/** A world in which all requests share a store, which `close` closes. */
export function serverWorld(world: World): { serving: World; close(): Promise<void> } {
  let kept: Store | undefined;
  const close = async () => kept?.close();
  const openStore: World["openStore"] = async (damaged) => {
    const store = await world.openStore(damaged);
    const keep = async () => {
      const before = kept;
      kept = store;
      await before?.close();
    };
    return withParts(store, { close: keep });
  };
  return { serving: { ...world, openStore }, close };
}
