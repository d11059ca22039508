import { describe, expect, it } from "vitest";
import { createPaint } from "../../src/cli/paint.js";
import { write } from "../../src/db/write.js";
import type { InboxItem } from "../../src/notify/inbox-item.js";
import { needsYouLine } from "../../src/operations/needs-you.js";
import { stateCard } from "../../src/operations/state.js";
import { readState, type State } from "../../src/state.js";
import { addTask } from "../../src/tasks/add.js";
import { claimTask } from "../../src/tasks/claim.js";
import { initWorkstream, workstreamRow } from "../../src/workstreams/workstream.js";
import { agentRow } from "../support/agent-row.js";
import { type Bench, onEachDialect } from "../support/database.js";

const NOW = Date.parse("2026-03-01T10:00:00.000Z");

const lines = (drawing: ReturnType<typeof stateCard>) =>
  [drawing].flat(9).flatMap((line) => (typeof line === "string" ? line.split("\n") : []));

const asking = (subject: string, minutes: number, summary = `touch by_${subject}.txt`): InboxItem => ({
  ...{ id: `${subject}-0000`, workstream: "shop", kind: "permission", subject, question: summary, summary },
  ...{ choices: [], command: "", since: new Date(NOW - minutes * 60_000).toISOString() },
});

describe("the line of who needs a person", () => {
  const draw = (items: InboxItem[], columns?: number) =>
    needsYouLine(items, createPaint({ colour: false, now: NOW, columns }));

  it("has the question of one", () => {
    expect(draw([])).toBe(false);
    expect(draw([asking("eve", 2)])).toBe("! 1 needs you: eve asks: touch by_eve.txt (2m)");
    const held: InboxItem = { ...asking("region", 180, "Held (escalated): which?"), kind: "held" };
    expect(draw([held])).toBe("! 1 needs you: region: Held (escalated): which? (3h)");
  });

  it("names the others, and where all questions are", () => {
    const three = [asking("eve", 2), asking("bob", 1), asking("cyd", 60)];
    expect(draw(three)).toBe("! 3 need you: eve asks: touch by_eve.txt (2m), bob (1m), cyd (1h); mu inbox");
    const six = Array.from({ length: 6 }, (_, at) => asking(`a${at}`, at));
    expect(draw(six)).toBe("! 6 need you: a0 asks: touch by_a0.txt (0s), a1 (1m), a2 (2m), a3 (3m), 2 more; mu inbox");
  });

  it("is one line of the terminal: the question is cut, its age and the others stay", () => {
    const [eve, bob] = [asking("eve", 2, "curl -s https://example.org/".repeat(9)), asking("bob", 1)];
    expect(draw([eve, bob], 80)).toBe(
      "! 2 need you: eve asks: curl -s https://example.org/cu… (2m), bob (1m); mu inbox",
    );
  });
});

onEachDialect("the card of fifteen tasks and four agents", (bench) => {
  it("fits 40 lines, and no line is wider than the terminal", async () => {
    const state = await crowded(bench);
    for (const columns of [80, 100, 200]) {
      const card = lines(stateCard(state, createPaint({ colour: false, now: NOW, columns })));
      expect(card.length).toBeLessThanOrEqual(39);
      for (const line of card) expect(line.length, line).toBeLessThanOrEqual(columns);
    }
  });

  it("reads as it is meant to, at 80 columns", async () => {
    const state = await crowded(bench);
    const card = lines(stateCard({ ...state, events: [] }, createPaint({ colour: false, now: NOW, columns: 80 })));
    expect(`\n${card.join("\n")}\n`).toBe(CARD);
  });

  it("says the same in colour", async () => {
    const state = await crowded(bench);
    const [plain, coloured] = [false, true].map((colour) =>
      lines(stateCard(state, createPaint({ colour, now: NOW, columns: 100 }))),
    );
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with it
    expect(coloured?.map((line) => line.replace(/\u001b\[\d+m/g, ""))).toEqual(plain);
  });
});

const CARD = `
! 1 needs you: eve asks: touch by_eve.txt (2m)
shop  15 tasks: 5 ready, 2 in progress, 8 blocked
Work for 5 more agents now, on 5 separate tracks
No agent has the role qa (1 ready task): mu agent spawn shop/<name> --role qa

Agents (4)  status            for  task    cli
ada         busy               2m  design  claude
bob         idle               2m  —       claude
cyd         idle               2m  —       claude
eve         needs_permission   2m  page-1  claude

Tasks (15)        status       role  owner  waits for         title
design            IN_PROGRESS  —     ada    —                 design so that …
page-1            IN_PROGRESS  —     eve    —                 page-1 so that …
page-2            ready        —     —      —                 page-2 so that …
page-3            ready        —     —      —                 page-3 so that …
page-4            ready        —     —      —                 page-4 so that …
page-5            ready        qa    —      —                 page-5 so that …
blog              ready        —     —      —                 blog so that th…
catalogue         blocked      —     —      design            catalogue so th…
checkout          blocked      —     —      design            checkout so tha…
fix-the-search-…  blocked      —     —      page-4            fix-the-search-…
launch            blocked      —     —      catalogue, chec…  launch so that …
search            blocked      —     —      design            search so that …
ship-1            blocked      —     —      page-1            ship-1 so that …
ship-2            blocked      —     —      page-2            ship-2 so that …
ship-3            blocked      —     —      page-3            ship-3 so that …

Tracks (4 of 7)                             tasks  ready  days  owners  next
fix-the-search-when-the-page-is-opened-ag…      2      1     2  —       page-4
launch                                          5      0     3  ada     —
ship-1                                          2      0     2  eve     —
ship-2                                          2      1     2  —       page-2
`;

async function crowded({ context }: Bench): Promise<State & { inbox: InboxItem[] }> {
  await initWorkstream(context, "shop");
  const title = (what: string) => `${what} so that the customers of the shop find what they look for`;
  const add = (name: string, more: object = {}) => addTask(context, "shop", { name, title: title(name), ...more });
  await add("design");
  for (const name of ["catalogue", "search", "checkout"]) await add(name, { blockedBy: ["design"] });
  for (const at of [1, 2, 3, 4, 5]) await add(`page-${at}`, { role: at === 5 ? "qa" : undefined });
  await add("launch", { blockedBy: ["catalogue", "search", "checkout"] });
  for (const at of [1, 2, 3]) await add(`ship-${at}`, { blockedBy: [`page-${at}`] });
  await add("fix-the-search-when-the-page-is-opened-again", { blockedBy: ["page-4"] });
  await add("blog");
  const { id: workstream_id } = await workstreamRow(context.store.db, "shop");
  for (const [name, status] of Object.entries({ ada: "busy", bob: "idle", cyd: "idle", eve: "needs_permission" })) {
    const { id } = await write(context, { op: "agent.spawn", scope: "shop", subject: `shop/${name}` }, async (tx) =>
      tx.insert("agents", agentRow({ workstream_id, name, command: "sh", cli: "claude", spawned_at: tx.now })),
    );
    const at = new Date(NOW - 120_000).toISOString();
    const seen = { reason: null, by: "screen", rule: null, spool_offset: "", at, seen_at: at };
    await context.store.write((db) =>
      db
        .insertInto("agent_status")
        .values({ agent_id: id, status, ...seen })
        .execute(),
    );
  }
  await claimTask(context, { workstream: "shop", name: "design" }, { agent: "ada" });
  await claimTask(context, { workstream: "shop", name: "page-1" }, { agent: "eve" });
  const now = new Date(NOW).toISOString();
  const state = await context.store.read((db) => readState(db, "shop", { now, events: 4 }));
  return { ...state, inbox: [asking("eve", 2)] };
}
