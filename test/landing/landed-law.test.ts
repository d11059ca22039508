import fc from "fast-check";
import { expect, it } from "vitest";
import { execProgram } from "../../src/exec.js";
import { fewOf, seed } from "../support/sample.js";
import { openYard, type Yard } from "./yard.js";

const path = fc.constantFrom("a.txt", "b.txt");
const word = fc.nat(2);
const act = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant("finish" as const), path, word }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("land" as const) }) },
  fc.record({ do: fc.constant("commit" as const), path, word }),
  fc.record({ do: fc.constant("pick" as const), which: fc.nat(3) }),
  fc.record({ do: fc.constant("revert" as const) }),
);
type Act = typeof act extends fc.Arbitrary<infer A> ? A : never;

/** A task and the commit that is its work. */
interface Work {
  name: string;
  to: string;
}

it("a task has landed exactly if what it did is on main, whatever people did there meanwhile", async () => {
  const acts = fc.array(act, { minLength: 3, maxLength: 7 });
  await fc.assert(
    fc.asyncProperty(acts, async (sequence) => {
      const yard = await openYard({ "a.txt": "a\n", "b.txt": "b\n" });
      try {
        const works: Work[] = [];
        for (const one of [...sequence, { do: "land" } as const]) await perform(yard, works, one);
      } finally {
        await yard.end();
      }
    }),
    // The soak takes others each time.
    { numRuns: fewOf(4, 200), seed: fewOf(77, seed) },
  );
});

async function perform(yard: Yard, works: Work[], one: Act): Promise<void> {
  const { repo } = yard;
  const change = (where: string, number: number) => ({ [where]: `${where} ${number}\n` });
  // What changes nothing would be no commit.
  if ("path" in one && repo.read(one.path) === change(one.path, one.word)[one.path]) return;
  const orElseAbort = (verb: string, ...args: string[]) =>
    repo.git(verb, "--no-edit", ...args).catch(() => repo.git(verb, "--abort").catch(() => ""));
  if (one.do === "land") return landAndCompare(yard, works);
  if (one.do === "finish") {
    const name = `t${works.length}`;
    await yard.finished(name, change(one.path, one.word));
    const space = await yard.workspace(name);
    works.push({ name, to: await repo.gitIn(space, "rev-parse", "HEAD") });
  } else if (one.do === "commit") {
    repo.write(change(one.path, one.word));
    await repo.git("commit", "-q", "-am", "somebody's");
  } else if (one.do === "pick") {
    const work = works[one.which];
    if (work !== undefined) await orElseAbort("cherry-pick", work.to);
  } else if (one.do === "revert" && (await yard.subjects()).length > 0) {
    await orElseAbort("revert", "HEAD");
  }
}

async function landAndCompare(yard: Yard, works: readonly Work[]): Promise<void> {
  const before = new Map<string, string>();
  for (const { name } of works) before.set(name, await standingOf(yard, name));
  await yard.land(undefined, { check: null });
  for (const work of works) {
    const [was, is] = [before.get(work.name), await standingOf(yard, work.name)];
    const expected = was !== "waiting" ? was : (await isOnMain(yard, work)) ? "landed" : "returned";
    expect([work.name, is]).toEqual([work.name, expected]);
  }
}

async function standingOf(yard: Yard, name: string): Promise<"waiting" | "landed" | "returned"> {
  const { status, level } = await yard.task(name);
  if (level === "landed") return "landed";
  return status === "CLOSED" ? "waiting" : "returned";
}

/** Whether main has the commit under its subject, or git's merge of it would change nothing. */
async function isOnMain({ repo, subjects }: Yard, { name, to }: Work): Promise<boolean> {
  if ((await subjects()).includes(`work of ${name}`)) return true;
  const args = ["merge-tree", "--write-tree", "main", to];
  const { code, stdout } = await execProgram("git", args, { cwd: repo.root, env: repo.env });
  return code === 0 && stdout.trim() === (await repo.git("rev-parse", "main^{tree}"));
}
