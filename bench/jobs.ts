import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { advanceStep, type FlowNode, type FlowStep } from "../src/flow/advance.js";
import { DEFAULT_LIMITS } from "../src/flow/steps.js";
import { costOf, costOfNode, costOfScript, type Figure, inFolder, inTurns, MU, timesFloor } from "./measure.js";

const NODES = 200;
const TIMES = 20_000;
const AT_ONCE = 2;

/** How a job's step goes on, beside a walk over its parts; and a job of six steps beside as many empty processes. */
export async function jobs(): Promise<Figure[]> {
  return [await advanced(), await sixSteps()];
}

async function advanced(): Promise<Figure> {
  const limits = { ...DEFAULT_LIMITS, tests: NODES };
  const nodes: FlowNode[] = Array.from({ length: NODES }, (_, at) => ({
    ...{ name: `node-${at}`, kind: at % 2 === 0 ? "build" : "test", round: (at >> 1) + 1, index: 1, state: "done" },
    verdict: at % 2 === 0 ? "done" : "fail",
  }));
  const step: FlowStep = { step: "work", limits, base: 0, nodes };
  const ended = { kind: "test", round: NODES / 2 } as const;
  let seen = 0;
  const walk = () => {
    for (let time = 0; time < TIMES; time++) for (const { state } of nodes) if (state === "done") seen++;
  };
  const advance = () => {
    for (let time = 0; time < TIMES; time++) seen += advanceStep(step, ended).add.length;
  };
  walk();
  advance();
  const costs = await inTurns(9, { floor: () => costOf(walk), figure: () => costOf(advance) });
  if (seen === 0) throw new Error("nothing was done");
  return timesFloor(
    `how a step of ${NODES} parts goes on, ${TIMES.toLocaleString("en")} times`,
    costs.floor,
    costs.figure,
    20,
  );
}

/** A role whose agent does nothing but say that all is well. */
const role = { cli: "command", command: "echo '### PASS'; true", workspace: false, concurrency: AT_ONCE };

function sixSteps(): Promise<Figure> {
  return inFolder(async (folder) => {
    mkdirSync(join(folder, ".mu"));
    const roles = { builder: { ...role, command: "echo feat: it" }, reviewer: role, tester: role };
    writeFileSync(join(folder, ".mu", "settings.json"), JSON.stringify({ roles }));
    const env = {
      MU_STATE_DIR: join(folder, "state"),
      HOME: folder,
      XDG_CACHE_HOME: join(folder, "cache"),
      MU_NO_TMUX: "1",
    };
    costOfScript(`cd ${folder} && node ${MU} workstream init bench && tmux kill-server`, {
      ...env,
      TMUX_TMPDIR: folder,
    });
    let job = 0;
    const run = () => {
      job++;
      costOfScript(`cd ${folder} && node ${MU} job new local-${job} -w bench`, env);
      return costOfNode(
        [MU, "job", "run", `local-${job}`, "all", "-i", "Do it", "--wait", "-w", "bench", "--json"],
        env,
      );
    };
    const RUNS = 8;
    run();
    const { floor, figure } = await inTurns(5, {
      floor: () => costOfScript(`seq ${RUNS} | xargs -P ${AT_ONCE} -I{} node -e 0`),
      figure: run,
    });
    return timesFloor(`a job of six steps, ${RUNS} runs`, floor, figure, 4);
  });
}
