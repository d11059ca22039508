import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { seedGraph } from "./graph.js";
import { type Cost, type Figure, inFolder, inTurns, MU, ms } from "./measure.js";

const LOOPS = 8;
const TASKS = 200;

const EMPTY = `for ((n = 0; n < ${TASKS / LOOPS}; n++)); do "$0" -e 0; done`;

/** Claims until nothing is ready (exit 3); any other failure is kept, and a hundred of them end it. */
const CLAIMING = `
  for ((failures = 0; failures < 100; )); do
    "$0" "$MU" task claim --next -w w --json >>"$OUT" 2>"$OUT.last"
    case $? in 0) ;; 3) break ;; *) cat "$OUT.last" >>"$OUT.failed"; ((failures++)) ;; esac
  done`;

/** Eight loops of \`mu task claim --next\` on one database, beside the same loops of an empty process. */
export async function crew(): Promise<Figure[]> {
  return inFolder(async (folder) => {
    const mistakes = { doubles: 0, conflicts: 0, locked: 0, unclaimed: 0 };
    let round = 0;
    const costs = await inTurns(3, {
      floor: () => loops(() => [EMPTY, {}]),
      claims: async () => {
        const db = join(folder, `mu${round++}.db`);
        await seedGraph(db, { tasks: TASKS, edges: 0, workstream: "w" });
        const environment = (n: number) => ({
          MU,
          MU_DB_PATH: db,
          MU_AGENT: `worker-${n}`,
          OUT: `${db}.${n}`,
          XDG_CACHE_HOME: join(folder, "cache"),
        });
        const cost = await loops((n) => [CLAIMING, environment(n)]);
        count(db, mistakes);
        return cost;
      },
    });
    return figuresOf(costs, mistakes);
  });
}

function figuresOf(costs: { floor: Cost; claims: Cost }, mistakes: Record<string, number>): Figure[] {
  const rate = ({ wallMs }: Cost) => (TASKS * 1000) / wallMs;
  const each = ({ cpuMs }: Cost) => ms(cpuMs / TASKS);
  const share = rate(costs.claims) / rate(costs.floor);
  return [
    {
      what: `${LOOPS} processes looping \`mu task claim --next\` over ${TASKS} tasks`,
      floor: `${rate(costs.floor).toFixed(1)}/s (${each(costs.floor)} each)`,
      figure: `${rate(costs.claims).toFixed(1)}/s (${each(costs.claims)} each): ${share.toFixed(2)} × floor`,
      bar: "≥ 0.35 × floor",
      met: share >= 0.35,
    },
    {
      what: "mistakes of the same",
      floor: "–",
      figure: `${mistakes.doubles} double claims, ${mistakes.conflicts} conflicts, ${mistakes.locked} locked, ${mistakes.unclaimed} unclaimed`,
      bar: "none",
      met: Object.values(mistakes).every((number) => number === 0),
    },
  ];
}

/** Runs all loops at once; the cost is theirs together. */
async function loops(loop: (n: number) => [script: string, env: Record<string, string>]): Promise<Cost> {
  const start = performance.now();
  const cpus = await Promise.all(Array.from({ length: LOOPS }, (_, n) => cpuOf(...loop(n))));
  return { wallMs: performance.now() - start, cpuMs: cpus.reduce((sum, cpu) => sum + cpu, 0) };
}

function cpuOf(script: string, env: Record<string, string>): Promise<number> {
  const timed = `TIMEFORMAT="%3U %3S"; time { ${script}\n}`;
  const child = spawn("bash", ["-c", timed, process.execPath], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, ...env },
  });
  const end = () => child.kill();
  process.once("exit", end);
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", () => {
      process.removeListener("exit", end);
      const [user = 0, system = 0] = (said.trim().split("\n").at(-1) ?? "").split(" ").map(Number);
      resolve((user + system) * 1000);
    });
  });
}

function count(db: string, mistakes: Record<"doubles" | "conflicts" | "locked" | "unclaimed", number>): void {
  const names = Array.from({ length: LOOPS }, (_, n) => linesOf(`${db}.${n}`))
    .flat()
    .map((line) => JSON.parse(line).task.name as string);
  const failures = Array.from({ length: LOOPS }, (_, n) => linesOf(`${db}.${n}.failed`)).flat();
  mistakes.doubles += names.length - new Set(names).size;
  mistakes.unclaimed += TASKS - new Set(names).size;
  mistakes.locked += failures.filter((line) => /locked|busy/i.test(line)).length;
  mistakes.conflicts += failures.filter((line) => !/locked|busy/i.test(line)).length;
}

function linesOf(path: string): string[] {
  return existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean) : [];
}
