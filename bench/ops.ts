import { writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { seedGraph } from "./graph.js";
import { costOfNode, costOfScript, type Figure, inFolder, inTurns, MU, timesFloor } from "./measure.js";

const REQUESTS = 100;
const AT_ONCE = 8;

const request = (action: string, more: Record<string, unknown> = {}) =>
  JSON.stringify({
    ...{ schema_version: "millracer.ops.v0.2", request_id: "r", workspace_ref: { workspace_id: "w" } },
    ...{ source: { kind: "bench" }, action, ...more },
  });

/** Requests of programs, each a whole process, beside the same by the command line. */
export async function ops(): Promise<Figure[]> {
  return inFolder(async (folder) => {
    const path = join(folder, "mu.db");
    await seedGraph(path, { tasks: 1_000, edges: 2_000, workstream: "w", closedPercent: 20 });
    const env = { MU_DB_PATH: path, MU_STATE_DIR: folder, XDG_CACHE_HOME: join(folder, "cache"), MU_WORKSTREAM: "w" };
    writeFileSync(join(folder, "status"), request("status"));
    const answer = () => costOfScript(`node ${MU} ops --json < ${folder}/status`, env);
    const state = () => costOfNode([MU, "state", "--json"], env);
    answer();
    state();
    const status = await inTurns(9, { state, answer });

    let round = 0;
    const each = (line: string) => `seq ${REQUESTS} | xargs -P ${AT_ONCE} -I{} sh -c '${line}' > /dev/null`;
    const several = await inTurns(1, {
      lines: () => costOfScript(each(`node ${MU} task add --title "line ${round} {}" --json`), env),
      requests: () => {
        round++;
        for (let n = 1; n <= REQUESTS; n++) {
          const more = { input: { payload: { title: `request ${round} ${n}` } }, idempotency_key: `k-${round}-${n}` };
          writeFileSync(join(folder, `r${n}`), request("task.add", more));
        }
        return costOfScript(each(`node ${MU} ops --json < ${folder}/r{}`), env);
      },
    });
    const db = new Database(path, { readonly: true });
    const added = db
      .prepare("select count(*) n, count(distinct title) d from tasks where title like 'request %'")
      .get();
    db.close();
    const { n, d } = added as { n: number; d: number };
    const wanted = round * REQUESTS;
    return [
      timesFloor("`mu ops --json`, status, beside `mu state --json`, 1,000 tasks", status.state, status.answer, 1.15),
      timesFloor(`${REQUESTS} requests \`task.add\`, ${AT_ONCE} at a time`, several.lines, several.requests, 1.2),
      {
        ...{ what: "the same: tasks lost, tasks added twice", floor: "0, 0", bar: "0, 0" },
        ...{ figure: `${wanted - d}, ${n - d}`, met: n === wanted && d === wanted },
      },
    ];
  });
}
