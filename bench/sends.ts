import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { sendToAgent } from "../src/agents/delivery/send.js";
import { observeAgents } from "../src/agents/status/observe.js";
import type { Fault } from "../src/errors.js";
import { openStage, PLAYER } from "../test/support/stage.js";

/** Prompts to agents that lose every fifth Enter: none may be lost in silence, none may arrive twice. Usage: sends.ts [sends] [agents]. */
const [sends = "1000", agents = "10"] = process.argv.slice(2);
const stage = await openStage();
const names = Array.from({ length: Number(agents) }, (_, n) => `a${n}`);
const file = (name: string) => join(stage.server.dir, `${name}.receipts`);
for (const name of names) {
  const script = JSON.stringify({ quirks: { loseEveryNthEnter: 5 } });
  await stage.enter(name, {
    cli: "player",
    argv: PLAYER,
    env: { MU_PLAYER_SCRIPT: script, MU_PLAYER_RECEIPTS: file(name) },
  });
}
while ((await observeAgents(stage.crew)).some((one) => one.status !== "idle"));

const outcomes = new Map<string, string>();
const began = Date.now();
await Promise.all(
  names.map(async (name) => {
    for (let n = 0; n < Number(sends) / names.length; n++) {
      const text = `prompt ${name} ${n}`;
      const sent = sendToAgent(stage.crew, { workstream: "demo", name }, text, { sender: "bench" });
      outcomes.set(
        text,
        await sent.then(
          ({ delivery }) => delivery.state,
          (error) => (error as Fault).code,
        ),
      );
    }
  }),
);
const received = names.flatMap((name) =>
  existsSync(file(name))
    ? readFileSync(file(name), "utf8")
        .trimEnd()
        .split("\n")
        .map((line): string => JSON.parse(line).text)
    : [],
);
const count = (wanted: string) => [...outcomes.values()].filter((outcome) => outcome === wanted).length;
const proved = [...outcomes].filter(([, outcome]) => outcome === "proved").map(([text]) => text);
console.log({
  sends: outcomes.size,
  proved: proved.length,
  unproved: count("delivery.unproved"),
  other: outcomes.size - proved.length - count("delivery.unproved"),
  duplicates: received.length - new Set(received).size,
  silentLosses: proved.filter((text) => !received.includes(text)).length,
  seconds: (Date.now() - began) / 1000,
});
await stage.end();
