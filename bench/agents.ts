import { fileURLToPath } from "node:url";
import { type Cost, type Figure, inTurns, ms, shown } from "./measure.js";
import { costOfMu, costOfScript, onStage, type Stage } from "./stage.js";

const ROUNDS = 9;
const CAPTURES = fileURLToPath(new URL("../test/fixtures/captures/", import.meta.url));

/** Spawning, listing and sending, each a whole process, beside the same by tmux alone and an empty process. */
export async function agents(): Promise<Figure[]> {
  return onStage(async (stage) => {
    return [await listing(stage, 25, 60), await listing(stage, 100, 150), await spawning(stage), await sending(stage)];
  });
}

async function spawning({ env, tmux }: Stage): Promise<Figure> {
  tmux("new-session", "-d", "-s", "floor");
  let n = 0;
  const spawn = () => {
    const words = ["agent", "spawn", `s-${n++}`, "-w", "w", "--command", "sleep 1000", "--json"];
    return costOfMu(words, env);
  };
  spawn();
  const costs = await inTurns(ROUNDS, {
    floor: () => costOfScript(`tmux -L b new-window -d -t =floor: 'sleep 1000'; "$NODE" -e 0`, env),
    spawn,
  });
  tmux("kill-session", "-t", "=floor");
  tmux("kill-session", "-t", "=mu-w");
  costOfMu(["reconcile", "-w", "w"], env);
  return byTheClock("`mu agent spawn --command 'sleep 1000'`, 100 ms of liveness in it", costs.floor, costs.spawn, 200);
}

/** Half of the panes hold a plain program, half a screen of Claude Code. */
async function listing(stage: Stage, panes: number, bar: number): Promise<Figure> {
  const { env, crew } = stage;
  const has = (await crew.tmux.listPanes()).length;
  const screen = `cat '${CAPTURES}claude/04-finished-idle.txt'; exec sleep 1000`;
  await stage.enter(`l${panes}`, panes - has, (n) =>
    n % 2 === 0 ? { command: "sleep 1000" } : { cli: "claude", command: screen },
  );
  const list = () => costOfMu(["agent", "list", "-w", "w", "--json"], env);
  list();
  const costs = await inTurns(ROUNDS, {
    floor: () => costOfScript(`tmux -L b list-panes -a; "$NODE" -e 0`, env),
    list,
  });
  return byTheClock(`\`mu agent list --json\`, ${panes} panes`, costs.floor, costs.list, bar);
}

async function sending(stage: Stage): Promise<Figure> {
  const { env, tmux } = stage;
  tmux("new-session", "-d", "-s", "floor", "sh");
  await stage.enter("shell", 1, () => ({ cli: "shell", ready: { timeoutMs: 20_000 } }));
  let n = 0;
  const send = () => costOfMu(["agent", "send", "w/shell-0", `echo ${n++}`, "--json"], env);
  send();
  const paste = `tmux -L b load-buffer - <<<': x' ';' paste-buffer -p -d -t =floor: ';' send-keys -t =floor: Enter`;
  const costs = await inTurns(ROUNDS, { floor: () => costOfScript(`${paste}; "$NODE" -e 0`, env), send });
  return byTheClock("`mu agent send` to a shell, until its echo", costs.floor, costs.send, 120);
}

/** These wait for tmux and for panes, so that the clock decides. */
function byTheClock(what: string, floor: Cost, figure: Cost, plusMs: number): Figure {
  const more = figure.wallMs - floor.wallMs;
  return {
    what,
    floor: shown(floor),
    figure: `${shown(figure)}: floor + ${ms(more)} (wall)`,
    bar: `≤ floor + ${plusMs} ms`,
    met: more <= plusMs,
  };
}
