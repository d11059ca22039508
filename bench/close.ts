import { costOfNode, type Figure, inTurns, MU, ms } from "./measure.js";
import { onStage } from "./stage.js";

const MANY = 10;

/** Interactive shells, which ignore TERM, closed one by one and ten at a time, beside an empty process. */
export async function close(): Promise<Figure[]> {
  return onStage(async ({ env, enter }) => {
    await enter("one", 3, () => ({ cli: "shell", command: "bash --norc -i" }));
    await enter("many", 3 * MANY, () => ({ cli: "shell", command: "bash --norc -i" }));
    let [one, many] = [0, 0];
    const closing = (names: string[]) => costOfNode([MU, "agent", "close", ...names, "-w", "w"], env);
    const costs = await inTurns(3, {
      floor: () => costOfNode(["-e", "0"], env),
      one: () => closing([`one-${one++}`]),
      many: () => closing(Array.from({ length: MANY }, () => `many-${many++}`)),
    });
    const figure = (what: string, { wallMs }: { wallMs: number }, barMs: number): Figure => ({
      what,
      floor: `${ms(costs.floor.wallMs)} (wall)`,
      figure: `${ms(wallMs)} (wall)`,
      bar: `≤ floor + ${ms(barMs)}`,
      met: wallMs <= costs.floor.wallMs + barMs,
    });
    return [
      figure("`mu agent close` of an interactive shell", costs.one, 500),
      figure(`\`mu agent close\` of ${MANY} interactive shells`, costs.many, 1_000),
    ];
  });
}
