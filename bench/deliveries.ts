import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sendToAgent } from "../src/agents/delivery/send.js";
import { Fault } from "../src/errors.js";
import { count, type Figure } from "./measure.js";
import { buildPlayer, onStage } from "./stage.js";

const PLAYERS = 10;
/** `MU_BENCH_SENDS=100` measures fewer. */
const SENDS = Number(process.env["MU_BENCH_SENDS"] ?? 1_000);

/** Prompts to scripted agents that lose every fifth Enter: what each receiver wrote down beside what the sender was told. */
export async function deliveries(): Promise<Figure[]> {
  return onStage(async ({ crew, enter, folder }) => {
    const player = await buildPlayer(folder);
    const receipts = (n: number) => join(folder, `receipts-${n}`);
    const script = JSON.stringify({ acts: [{ steps: [{ say: "ok" }] }], quirks: { loseEveryNthEnter: 5 } });
    await enter("p", PLAYERS, (n) => ({
      cli: "player",
      command: `${process.execPath} ${player}`,
      env: { MU_PLAYER_RECEIPTS: receipts(n), MU_PLAYER_SCRIPT: script },
      ready: { timeoutMs: 30_000 },
    }));
    const told = { proved: 0, unproved: 0, other: 0 };
    const proved: string[] = [];
    const unproved: string[] = [];
    const start = performance.now();
    await Promise.all(
      Array.from({ length: PLAYERS }, async (_, n) => {
        for (let m = 0; m < SENDS / PLAYERS; m++) {
          const text = `prompt ${m} for p-${n}, and nobody else`;
          try {
            await sendToAgent(crew, { workstream: "w", name: `p-${n}` }, text, { sender: "bench" });
            proved.push(text);
          } catch (error) {
            if (!(error instanceof Fault)) throw error;
            if (error.code === "delivery.unproved") unproved.push(text);
            else told.other++;
          }
        }
      }),
    );
    const wallMs = performance.now() - start;
    const taken = Array.from({ length: PLAYERS }, (_, n) => receiptsOf(receipts(n))).flat();
    const once = new Set(taken);
    const duplicates = taken.length - once.size;
    const lost = proved.filter((text) => !once.has(text)).length;
    const settled = proved.length + unproved.length;
    return [
      {
        what: `${count(SENDS)} sends to ${PLAYERS} agents that lose every fifth Enter`,
        floor: "–",
        figure: `${count(proved.length)} proved, ${unproved.length} reported unproved, ${told.other} else; ${duplicates} duplicates, ${lost} silent losses; ${(SENDS / (wallMs / 1000)).toFixed(1)}/s (wall)`,
        bar: "all proved or reported, 0 duplicates, 0 silent losses",
        met: settled === SENDS && duplicates === 0 && lost === 0,
      },
    ];
  });
}

function receiptsOf(path: string): string[] {
  const lines = readFileSync(path, "utf8").split("\n").filter(Boolean);
  return lines.map((line) => (JSON.parse(line) as { text: string }).text);
}
