import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Crew } from "../../src/agents/crew.js";
import { systemClock } from "../../src/clock.js";
import { connect } from "../../src/db/sqlite/connect.js";
import { withLandingLock } from "../../src/landing/lock.js";
import { placeHere, placeText } from "../../src/place.js";
import { getLander } from "../../src/vcs/backends.js";
import { openYard, type Yard } from "./yard.js";

let yard: Yard;
let file: string;
beforeEach(async () => {
  yard = await openYard();
  file = await getLander("git").lockFile(yard.repo.root);
});
afterEach(() => yard.end());

const take = (crew: Crew, remark?: (text: string) => void) =>
  withLandingLock(crew, file, { purpose: "build", remark }, async () => "taken");

function sql(text: string, ...values: unknown[]): void {
  const db = connect(file, { timeout: 5_000 });
  db.prepare(text).run(values);
  db.close();
}

/** Writes a holder into the lock's row. */
async function heldBy(holder: string): Promise<void> {
  await take(yard.crew);
  sql("update landing set holder = ?, purpose = 'docs in shop by eve'", holder);
}

/** A crew whose clock jumps a year back and forth, and the number of its sleeps. */
function jumpingCrew(onSleep: (sleeps: number) => void = () => {}) {
  let sleeps = 0;
  const clock = {
    now: () => new Date(sleeps % 2 === 0 ? 0 : 31_536_000_000),
    sleep: async () => onSleep(++sleeps),
  };
  return { crew: { ...yard.crew, context: { ...yard.crew.context, clock } }, sleeps: () => sleeps };
}

describe("the landing lock", () => {
  it("has one holder at a time, in one process too", async () => {
    let holders = 0;
    const most: number[] = [];
    const work = async () => {
      most.push(++holders);
      await systemClock.sleep(2);
      holders--;
    };
    const crews = [yard.crew, await yard.another()];
    const calls = Array.from({ length: 8 }, (_, n) => crews[n % 2] as Crew);
    await Promise.all(calls.map((crew) => withLandingLock(crew, file, { purpose: "build" }, work)));
    expect(most).toEqual(Array(8).fill(1));
  });

  it.each([
    ["a dead process", {}],
    ["one of before a restart of the machine", { boot: `${placeHere().boot.split("/")[0]}/before` }],
    ["a dead process of when the host had another name", { host: "before" }],
  ])("is taken over from %s at once", async (_, was) => {
    await heldBy(`2 0 ${placeText({ ...placeHere(), ...was })} dead`);
    const { crew, sleeps } = jumpingCrew();
    expect([await take(crew), sleeps()]).toEqual(["taken", 0]);
  });

  it.each([
    ["another host", "elsewhere", "elsewhere"],
    ["another process namespace", placeText({ ...placeHere(), namespace: "pid:[1]" }), hostname()],
  ])("is taken over from %s after a minute without a beat, whatever the clock says", async (_, place, host) => {
    await heldBy(`1 0 ${place} dead`);
    const remarks: string[] = [];
    const { crew, sleeps } = jumpingCrew((slept) => {
      if (slept === 500) sql("update landing set beat = beat + 1");
    });
    expect(await take(crew, (text) => remarks.push(text))).toBe("taken");
    expect(sleeps()).toBeGreaterThan(500 + 599);
    expect(remarks).toEqual([
      "Waiting for the landing of docs in shop by eve (process 1)…",
      `Taking over from a landing on ${host} that has been silent.`,
    ]);
  });

  it("counts as free when its file is empty, cut off or damaged", async () => {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, "");
    expect(await take(yard.crew)).toBe("taken");
    await heldBy("1 0 elsewhere dead");
    truncateSync(file, readFileSync(file).length - 1000);
    expect(await take(yard.crew)).toBe("taken");
    writeFileSync(file, "no database ".repeat(1000));
    expect(await take(yard.crew)).toBe("taken");
    expect(existsSync(`${file}.damaged`)).toBe(true);
  });

  it("ends the programs that a dead holder has left in the checkout", async () => {
    const holder = `2 0 ${hostname()} dead`;
    await heldBy(holder);
    const left = spawn("sleep", ["600"], { env: { ...process.env, MU_LANDING: holder }, stdio: "ignore" });
    const ended = new Promise((resolve) => left.on("exit", (_, signal) => resolve(signal)));
    await take(yard.crew);
    expect(await ended).toBe("SIGTERM");
  });

  it("that was lost during the check stops the landing before it moves anything", async () => {
    await yard.finished("build", { "build.txt": "b\n" });
    const before = await yard.main();
    const steal = () => sql("update landing set holder = '1 0 elsewhere thief', beat = beat + 1");
    const landing = yard.land(undefined, { check: "true", remark: steal });
    await expect(landing).rejects.toMatchObject({ code: "landing.lock_lost" });
    expect(await yard.main()).toBe(before);
    expect(await yard.repo.git("status", "--porcelain")).toBe("");
    sql("update landing set holder = null");
    expect((await yard.land()).landed.length).toBe(1);
  });
});

describe("places", () => {
  it("a branch that the user checks out in the moment it moves has its files moved too", async () => {
    await yard.finished("build", { "build.txt": "b\n" });
    await yard.repo.git("checkout", "-q", "--detach");
    const { exec } = yard.crew;
    Object.assign(yard.crew, {
      exec: async (program: string, args: readonly string[], options: object) => {
        if (args.includes("update-ref")) await yard.repo.git("checkout", "-q", "main");
        return exec(program, args, options);
      },
    });
    expect((await yard.land()).landed.length).toBe(1);
    expect(await yard.repo.git("status", "--porcelain")).toBe("");
    expect(yard.repo.read("build.txt")).toBe("b\n");
  });

  it("two worktrees of one repository share the lock, and landings from both take turns", async () => {
    const tree = join(yard.repo.dir, "second");
    await yard.repo.git("worktree", "add", "-q", "-b", "other", tree);
    expect(await getLander("git").lockFile(tree)).toBe(file);
    await yard.finished("a", { "a1.txt": "a\n" });
    await yard.finished("b", { "b1.txt": "b\n" });
    const landings = await Promise.all([yard.land(["a"]), yard.land(["b"], { onto: "other" })]);
    expect(landings.map(({ landed }) => landed.length)).toEqual([1, 1]);
    for (const path of [yard.repo.root, tree]) expect(await yard.repo.gitIn(path, "status", "--porcelain")).toBe("");
    expect([yard.repo.read("a1.txt"), yard.repo.read("b1.txt", tree)]).toEqual(["a\n", "b\n"]);
  });
});
