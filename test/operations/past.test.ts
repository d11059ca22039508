import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { shownBy } from "../../scripts/picture.js";
import { createPaint } from "../../src/cli/paint.js";
import type { Request } from "../../src/operations/app.js";
import { execute, executeFollowing } from "../../src/operations/execute.js";
import { loadOperations } from "../../src/operations/index.js";
import { addNote } from "../../src/tasks/notes.js";
import { renameWorkstream } from "../../src/workstreams/workstream.js";
import { parseCommand } from "../support/command.js";
import { type Seeded, seededApp } from "../support/seeded.js";

const PERSON = { person: "ann" };
const operations = await loadOperations();

describe("verbs of the past", () => {
  let app: Seeded;
  beforeAll(async () => {
    app = await seededApp();
  });
  afterAll(() => app.end());

  const called = (command: string) => {
    const { verb, input } = parseCommand(command);
    const operation = operations.find(({ name }) => name === verb.name);
    if (operation === undefined) throw new Error(command);
    return { operation, input };
  };
  // biome-ignore lint/suspicious/noExplicitAny: any verb's result
  const run = async (command: string): Promise<any> => {
    const { operation, input } = called(command);
    const result = await execute(operation, input, app.world, app.request);
    expect(operation.output().safeParse(result).error).toBeUndefined();
    return result;
  };
  const drawn = (command: string, result: unknown) =>
    called(command).operation.render?.(result as never, createPaint({ colour: false, now: Date.now(), columns: 80 })) ??
    "";
  const eventOf = async (op: string) => {
    const events = app.store.db.selectFrom("events").select(["id", "at"]).where("op", "=", op);
    return events.orderBy("id").limit(1).executeTakeFirstOrThrow();
  };

  it("show a card as it was, with what happened by then, and name what is not kept", async () => {
    const claim = await eventOf("task.claim");
    const before = await run(`mu state --at ${claim.id - 1}`);
    expect(before).toMatchObject({ counts: { total: 1, ready: 1 }, asOf: { event: claim.id - 1 }, inbox: [] });
    const then = await run(`mu state --at ${claim.id}`);
    expect(then).toMatchObject({ counts: { total: 1, inProgress: 1 }, asOf: { event: claim.id, at: claim.at } });
    expect(then.events.at(-1)).toMatchObject({ op: "task.claim", subject: "demo/done" });
    const card = drawn("mu state", then);
    expect(card).toMatch(/after event #\d+\nNot kept: status of agents, /);
    expect(card).toContain("0s ago");
    expect(card.split("\n").filter((line) => line.length > 80)).toEqual([]);
    const now = await run("mu state");
    const newest = await app.store.db.selectFrom("events").select("id").orderBy("id", "desc").executeTakeFirstOrThrow();
    const { asOf: _, notKept: _n, inbox: __, agents: ___, ...last } = await run(`mu state --at '#${newest.id}'`);
    const { inbox: ____, agents: _____, missingRoles, ...present } = now;
    expect(last).toEqual({ ...present, missingRoles: [] });
    expect((await run("mu state --at 1 -w other").catch((fault: Error) => fault)).message).toMatch(
      /^At .*, after event #1: There is no workstream "other"/,
    );
  });

  it("show a task as it was, under the name that its workstream had", async () => {
    await addNote(app.context, { workstream: "demo", name: "docs" }, PERSON, { text: "first" });
    const { id } = await app.store.db.selectFrom("events").select("id").orderBy("id", "desc").executeTakeFirstOrThrow();
    await addNote(app.context, { workstream: "demo", name: "docs" }, PERSON, { text: "second" });
    await renameWorkstream(app.context, "demo", "shop");
    try {
      const { task, notes, commits, asOf } = await run(`mu task show docs --at ${id} -w shop`);
      expect({ task, notes, commits, asOf }).toMatchObject({
        task: { name: "docs", workstream: "demo" },
        notes: [{ text: "first" }],
        commits: [],
        asOf: { event: id },
      });
      expect(await run(`mu state --at ${id} -w demo`)).toMatchObject({ workstream: "demo" });
    } finally {
      await renameWorkstream(app.context, "shop", "demo");
    }
  });

  it("replay the events as frames, at once for a program and in time for a person, and end when asked", async () => {
    const { operation, input } = called("mu replay --speed 0.001 -w demo");
    const play = async (request: Partial<Request>) => {
      const frames: { counts: { total: number }; asOf: { event: number } }[] = [];
      const slept: number[] = [];
      const clock = { ...app.world.clock, sleep: async (ms: number) => void slept.push(ms) };
      const whole = { ...app.request, ...request };
      await executeFollowing(operation, input, { ...app.world, clock }, whole, (frame) => frames.push(frame as never));
      return { frames, slept };
    };
    const { frames, slept } = await play({});
    expect(frames.length).toBeGreaterThan(3);
    expect(slept).toEqual([]);
    const numbers = frames.map(({ asOf }) => asOf.event);
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    expect(frames[0]?.counts.total).toBeLessThan(frames.at(-1)?.counts.total ?? 0);
    const paint = createPaint({ colour: false, now: Date.now(), columns: 80 });
    for (const frame of frames)
      for (const line of operation.renderFollowed?.(frame as never, paint).split("\n") ?? [])
        expect(line.length, line).toBeLessThanOrEqual(80);
    const watched = await play({ terminal: { ...app.request.terminal, isWatched: true } as never });
    expect(watched.slept).toHaveLength(frames.length);
    expect(watched.slept[0]).toBe(0);
    expect(Math.max(...watched.slept)).toBeLessThanOrEqual(2_000);
    expect((await play({ signal: AbortSignal.abort() })).frames).toEqual([]);
  });

  it("write a replay as an asciicast that ends with the card of now, and overwrite nothing", async () => {
    const { frames, cast } = await run("mu replay --cast story.cast --speed 1 -w demo");
    expect(cast).toBe(join(app.request.cwd, "story.cast"));
    const [head, ...events] = readFileSync(cast, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(head).toMatchObject({ version: 2, width: 80, title: "mu replay -w demo" });
    expect(events.length).toBeLessThanOrEqual(frames);
    const size = { columns: head.width, rows: head.height };
    const { says } = await shownBy(
      events.map(([, , text]) => text),
      size,
    );
    expect(says.join("\n")).toMatch(/after event #\d+\nNot kept/);
    expect(says.join("\n")).toMatch(/^demo {2}\d+ tasks: /m);
    await expect(run("mu replay --cast story.cast -w demo")).rejects.toMatchObject({ code: "file.exists" });
    await expect(run("mu replay --cast no/such/story.cast -w demo")).rejects.toMatchObject({
      code: "file.not_writable",
    });
  });
});
