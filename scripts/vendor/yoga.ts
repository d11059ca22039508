import { loadYoga, type Yoga } from "yoga-layout/load";

/** Ink's layout engine, which the package itself waits for in a way that a CommonJS file cannot. */
let yoga: Yoga;

export { yoga as default };

export const ready = loadYoga().then((loaded) => {
  yoga = loaded;
});
