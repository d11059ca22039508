import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execProgram } from "../src/exec.js";
import { noneBackend } from "../src/vcs/none/none.js";
import { type Figure, inFolder, ms } from "./measure.js";

const ROUNDS = 8;
/** 200 MB in 2,100 files: 100 of 1 MB and 2,000 of 50 KB. */
const LARGE = { files: 100, bytes: 1_000_000 };
const SMALL = { files: 2_000, bytes: 50_000 };

/**
 * A workspace that is a copy of 200 MB beside cp: with reflinks where the file system of `$MU_BENCH_REFLINKS`, else of
 * the temporary folder, has them, and without.
 */
export async function copy(): Promise<Figure[]> {
  const at = process.env["MU_BENCH_REFLINKS"] ?? tmpdir();
  const cloned = await inFolder((folder) => copies(folder, "cp -a --reflink=always", "--reflink=always"), at);
  const copied = await inFolder((folder) => copies(folder, "cp -a"));
  return [cloned, copied];
}

async function copies(folder: string, title: string, ...options: string[]): Promise<Figure> {
  const what = `\`none\` copy of 200 MB beside \`${title}\``;
  const bar = "≤ 1.3 × floor";
  const root = join(folder, "project");
  fill(root);
  const byHand = join(folder, "by-hand");
  const cp = () => execProgram("cp", ["-a", ...options, root, byHand]);
  if ((await cp()).code !== 0)
    return { what, floor: "–", figure: "this file system has no reflinks", bar, met: undefined };
  const world = { exec: execProgram, env: process.env };
  const checkout = { root, path: join(folder, "workspaces", "ann") };
  const [floors, figures]: [number[], number[]] = [[], []];
  const byFloor = async () => floors.push(await byTheClock(byHand, cp));
  const byMu = async () => figures.push(await byTheClock(checkout.path, () => noneBackend.create(world, checkout, {})));
  // Writing 200 MB takes as long as the disk pleases, and whoever comes second pays for the first: they take turns in
  // coming first, and the least disturbed round of each is compared.
  for (let round = 0; round < ROUNDS; round++) {
    for (const one of round % 2 === 0 ? [byFloor, byMu] : [byMu, byFloor]) await one();
  }
  const [floor, figure] = [Math.min(...floors), Math.min(...figures)];
  const times = figure / floor;
  return { what, floor: ms(floor), figure: `${ms(figure)}: ${times.toFixed(2)} × floor`, bar, met: times <= 1.3 };
}

function fill(root: string): void {
  for (const [name, { files, bytes }] of Object.entries({ large: LARGE, small: SMALL })) {
    for (let n = 0; n < files; n++) {
      const folder = join(root, name, String(n % 40));
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, `${n}.bin`), Buffer.alloc(bytes, n % 256));
    }
  }
}

/** The work is done by other processes, so only the clock knows what it takes. What one wrote must not slow the next. */
async function byTheClock(made: string, work: () => Promise<unknown>): Promise<number> {
  rmSync(made, { recursive: true, force: true });
  await execProgram("sync", []);
  const start = performance.now();
  await work();
  return performance.now() - start;
}
