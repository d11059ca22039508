import type { Crew } from "../../src/agents/crew.js";

/** Where a process ends itself: at its `effect`-th effect on the world, before it or while it goes on. */
export interface Doom {
  effect: number;
  phase: "before" | "during";
}

/**
 * The same crew, whose process ends itself with SIGKILL at one of its effects: programs that it runs, and writes to the
 * database. Gives how many there were so far.
 */
export function doomed(crew: Crew, doom: Doom): { crew: Crew; effects(): number } {
  let effects = 0;
  const die = () => process.kill(process.pid, "SIGKILL");
  const around = <T>(act: () => Promise<T>): Promise<T> => {
    effects++;
    if (effects !== doom.effect) return act();
    if (doom.phase === "before") {
      die();
      return new Promise(() => {});
    }
    const acting = act();
    setImmediate(die);
    return acting;
  };
  const { store } = crew.context;
  const write: typeof store.write = (work, options) => around(() => store.write(work, options));
  return {
    effects: () => effects,
    crew: {
      ...crew,
      exec: (file, args, options) => around(() => crew.exec(file, args, options)),
      context: { ...crew.context, store: { ...store, write } },
    },
  };
}
