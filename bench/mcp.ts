import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { type Cost, type Figure, inFolder, inTurns, MU, ms } from "./measure.js";

const ROUNDS = 7;
const CALLS = 40;
/** All at once may take this many times as long as one after another. */
const BAR = 1.5;

/** Tasks added over one `mu mcp`, all in flight at once, beside the same one after another: by the clock. */
export async function mcp(): Promise<Figure[]> {
  return inFolder(async (folder) => {
    const env = { PATH: process.env["PATH"] ?? "", HOME: folder, USER: "ann", MU_DB_PATH: join(folder, "mu.db") };
    const client = new Client({ name: "bench", version: "1" });
    await client.connect(new StdioClientTransport({ command: process.execPath, args: [MU, "mcp"], env, cwd: folder }));
    try {
      await client.callTool({ name: "workstream_init", arguments: { name: "w" } });
      const add = async () => {
        const added = await client.callTool({ name: "task_add", arguments: { title: "Task", workstream: "w" } });
        if (added.isError) throw new Error(JSON.stringify(added.content));
      };
      await add();
      const costs = await inTurns(ROUNDS, {
        inTurn: () =>
          wall(async () => {
            for (let n = 0; n < CALLS; n++) await add();
          }),
        atOnce: () => wall(() => Promise.all(Array.from({ length: CALLS }, add))),
      });
      const times = costs.atOnce.wallMs / costs.inTurn.wallMs;
      return [
        {
          what: `${CALLS} task_add in flight over one \`mu mcp\``,
          floor: `${ms(costs.inTurn.wallMs)} one after another`,
          figure: `${ms(costs.atOnce.wallMs)}: ${times.toFixed(2)} × floor`,
          bar: `≤ ${BAR} × floor`,
          met: times <= BAR,
        },
      ];
    } finally {
      await client.close();
    }
  });
}

async function wall(work: () => Promise<unknown>): Promise<Cost> {
  const start = performance.now();
  await work();
  return { wallMs: performance.now() - start, cpuMs: 0 };
}
