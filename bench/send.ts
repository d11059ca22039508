import { execFileSync } from "node:child_process";
import { sendToAgent } from "../src/agents/delivery/send.js";
import { openStage } from "../test/support/stage.js";

/** A proved send to a shell beside the tmux calls that it is made of. In process: a start of mu comes on top. */
const stage = await openStage();
const agent = await stage.enter("sue");
const pane = agent.pane ?? "";
const median = (times: number[]) => times.sort((a, b) => a - b)[Math.floor(times.length / 2)]?.toFixed(0);
const timed = async (work: (n: number) => unknown) => {
  const times: number[] = [];
  for (let n = 0; n < 20; n++) {
    const start = performance.now();
    await work(n);
    times.push(performance.now() - start);
  }
  return `${median(times)} ms`;
};
const tmux = (args: string[], input?: string) =>
  execFileSync("tmux", ["-L", "t", ...args], { env: stage.server.env, ...(input !== undefined && { input }) });
const floor = await timed(() => {
  tmux(["load-buffer", "-b", "b", "-"], "true");
  tmux(["paste-buffer", "-p", "-r", "-d", "-b", "b", "-t", pane]);
  tmux(["send-keys", "-t", pane, "Enter"]);
});
const send = await timed((n) =>
  sendToAgent(stage.crew, { workstream: "demo", name: "sue" }, `true ${n}`, { sender: "b" }),
);
console.log({ floor, send });
await stage.end();
