import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { writeBundle } from "../src/bundles/write.js";
import { systemClock } from "../src/clock.js";
import { openSqlite } from "../src/db/sqlite/sqlite.js";
import { type KeptTask, readKept } from "../src/tasks/kept.js";
import { addNote } from "../src/tasks/notes.js";
import { applyPlan } from "../src/tasks/plan.js";
import { type Plan, parsePlan } from "../src/tasks/planned-tasks.js";
import { initWorkstream } from "../src/workstreams/workstream.js";
import { type Cost, costOf, count, type Figure, inFolder, inTurns, ms, timesFloor } from "./measure.js";

const TASKS = 10_000;
const NOW = "2026-11-30T12:00:00.000Z";

/** An export from the database to the files, beside writing the same files; and once more after one change. */
export async function bundles(): Promise<Figure[]> {
  return inFolder(async (folder) => {
    const store = await openSqlite(join(folder, "mu.db"), { missing: "create" });
    const context = { store, clock: systemClock, actor: "ann" };
    await initWorkstream(context, "w");
    await applyPlan(context, "w", (await parsePlan(JSON.stringify(plan()))).plan as Plan);
    const read = (): Promise<KeptTask[]> => readKept(store.db, 1);
    const out = (name: string) => join(folder, name);
    const exportTo = async (name: string) => writeBundle(out(name), [{ workstream: "w", tasks: await read() }], NOW);

    await exportTo("sample");
    const names = readdirSync(out("sample"), { recursive: true, encoding: "utf8" });
    const files = names.filter((name) => statSync(join(out("sample"), name)).isFile());
    const texts = files.map((name) => [name, readFileSync(join(out("sample"), name), "utf8")] as const);
    let round = 0;
    const fresh = async (work: (name: string) => unknown): Promise<Cost> => {
      const name = `round-${round++}`;
      const cost = await costOf(() => work(name));
      rmSync(out(name), { recursive: true });
      return cost;
    };
    const { floor, first, second } = await inTurns(5, {
      floor: () =>
        fresh((name) => {
          for (const folderName of new Set(files.map(dirname)))
            mkdirSync(join(out(name), folderName), { recursive: true });
          for (const [path, text] of texts) writeFileSync(join(out(name), path), text);
        }),
      first: () => fresh(exportTo),
      second: async () => {
        await addNote(context, { workstream: "w", name: "task_7" }, { person: "ann" }, { text: `Round ${round}` });
        return costOf(() => exportTo("sample"));
      },
    });
    await store.close();
    const ratio = second.cpuMs / first.cpuMs;
    return [
      timesFloor(
        `\`workstream export\` of ${count(TASKS)} tasks, in process; floor: writing the same files`,
        floor,
        first,
        3,
      ),
      {
        what: "the same once more, after one note",
        floor: `the first: ${ms(first.cpuMs)} (wall ${ms(first.wallMs)})`,
        figure: `${ms(second.cpuMs)} (wall ${ms(second.wallMs)}): ${ratio.toFixed(2)} × floor`,
        bar: "≤ 0.3 × floor",
        met: ratio <= 0.3,
      },
    ];
  });
}

function plan() {
  const tasks = Array.from({ length: TASKS }, (_, n) => ({
    name: `task_${n}`,
    title: `Task number ${n} of the plan`,
    description: `What is to be done about number ${n}, in a sentence or two.`,
    blockedBy: n === 0 ? [] : [`task_${n >> 1}`],
  }));
  return { tasks };
}
