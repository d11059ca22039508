import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { costOfNode, costOfScript, type Figure, inFolder, inTurns, MU, timesFloor } from "./measure.js";

const FILES = 20_000;
const MODULES = 200;
const ROUNDS = 25;

/** `mu sync` where nothing has changed, a whole process, beside an empty one and five lists of all files. */
export async function sync(): Promise<Figure[]> {
  return inFolder(async (folder) => {
    const flat = await measured(join(folder, "flat"), 1);
    const deep = await measured(join(folder, "deep"), 5);
    return [
      timesFloor(`\`mu sync --json\`, no change, 20,000 files in 200 folders, 200 modules`, flat.floor, flat.sync, 1.3),
      { ...timesFloor("the same in 1,220 folders", deep.floor, deep.sync, 1.3), bar: "–", met: undefined },
    ];
  });
}

async function measured(root: string, foldersEach: number) {
  const env = {
    ...{ HOME: root, XDG_CACHE_HOME: join(root, ".git", "cache"), MU_DB_PATH: join(root, ".git", "mu.db") },
    ...{ GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" },
  };
  for (let n = 0; n < MODULES; n++) {
    const home = foldersEach === 1 ? `d${n}` : join(`part${n % 20}`, `d${n}`);
    for (let each = 0; each < foldersEach; each++) {
      const folder = join(root, foldersEach === 1 ? home : join(home, `e${each}`));
      mkdirSync(folder, { recursive: true });
      const files = FILES / MODULES / foldersEach;
      for (let file = 0; file < files; file++) writeFileSync(join(folder, `f${file}.ts`), `file ${file}\n`);
    }
    writeFileSync(join(root, home, `_d${n}.md`), `# Part ${n}\n`);
  }
  const git = (...args: string[]) => execFileSync("git", args, { cwd: root, env: { ...process.env, ...env } });
  git("init", "-q", "-b", "main");
  git("add", "-A");
  git("-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "first");
  const args = [MU, "sync", "--json", "--dir", root];
  costOfNode(args, env);
  costOfNode(args, env);
  const lists = Array.from({ length: 5 }, () => `git -C '${root}' ls-files > /dev/null`);
  return inTurns(ROUNDS, {
    floor: () => costOfScript([`'${process.execPath}' -e 0`, ...lists].join("\n"), env),
    sync: () => costOfNode(args, env),
  });
}
