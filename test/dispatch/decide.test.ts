import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decide, type Facts, type Under, type Waiting } from "../../src/dispatch/decide.js";
import { DEFAULT_ROLE, DEFAULT_SETTINGS, type Role } from "../../src/project/settings.js";
import { micros } from "../../src/runs/run.js";

const role = (name: string, given: Partial<Role> = {}): Role => ({
  ...DEFAULT_ROLE,
  name,
  access: "read-only",
  ...given,
});

function facts(
  roles: Role[],
  tasks: (Partial<Waiting> & { name: string; role: string })[],
  given: Partial<Facts> = {},
): Facts {
  return {
    settings: { ...DEFAULT_SETTINGS, roles: Object.fromEntries(roles.map((one) => [one.name, one])) },
    tasks: tasks.map((task) => ({ unready: null, track: task.name, touches: null, budget: null, ...task })),
    active: [],
    claims: [],
    spend: [],
    taken: new Set(),
    halted: null,
    limits: new Map(),
    max: 100,
    ...given,
  };
}

const run = (given: Partial<Under> = {}): Under => ({ role: "qa", agent: "qa-1", task: "old", writes: null, ...given });
const why = (found: ReturnType<typeof decide>) => found.wait.map(({ task, code }) => [task, code]);

describe("a decision", () => {
  it("starts tasks in ready order, each in the first free slot", () => {
    const found = decide(
      facts(
        [role("qa", { concurrency: 3 })],
        [
          { name: "a", role: "qa" },
          { name: "b", role: "qa" },
        ],
        {
          active: [run({ agent: "qa-2" })],
          taken: new Set(["qa-1"]),
        },
      ),
    );
    expect(found.start.map(({ task, agent }) => [task, agent])).toEqual([
      ["a", "qa-3"],
      ["b", "qa-4"],
    ]);
  });

  it.each<[string, Role, Partial<Waiting>, Partial<Facts>]>([
    ["killed", role("qa"), {}, { halted: "deploy" }],
    ["unknown_role", role("code"), {}, {}],
    ["other_role", role("qa"), {}, { roles: new Set(["code"]) }],
    ["role_disabled", role("qa", { dailyCapUsd: 0 }), {}, {}],
    ["held", role("qa"), { unready: { code: "held", why: "held" } }, {}],
    ["back_off", role("qa"), { unready: { code: "back_off", why: "later" } }, {}],
    ["blocked", role("qa"), { unready: { code: "blocked", why: "waits" } }, {}],
    ["provider_limit", role("qa"), {}, { limits: new Map([["claude", "2026-12-01T00:00:00.000Z"]]) }],
    ["role_busy", role("qa"), {}, { active: [run()] }],
    ["most_runs", role("qa", { concurrency: 9 }), {}, { active: [run()], max: 1 }],
    [
      "writer",
      role("qa", { access: "full", workspace: false, concurrency: 9 }),
      {},
      { active: [run({ writes: "checkout" })] },
    ],
    [
      "writer",
      role("qa", { access: "full", concurrency: 9 }),
      { track: "t" },
      { active: [run({ writes: "track t" })] },
    ],
    ["task_budget", role("qa", { reservationUsd: 0.2 }), { budget: { most: 300_000, used: 100_001 } }, {}],
    [
      "contested",
      role("qa", { access: "full" }),
      { touches: ["src/api/**"] },
      { claims: [{ task: "other", touches: ["src/**/*.ts"], paths: [] }] },
    ],
    [
      "contested",
      role("qa", { access: "full" }),
      { touches: ["src/api/**"] },
      { claims: [{ task: "other", touches: [], paths: ["docs/x.md", "src/api/pay.ts"] }] },
    ],
    ["role_cap", role("qa", { dailyCapUsd: 0.3, reservationUsd: 0.2 }), {}, spent("qa", 0.11)],
    ["project_ceiling", role("qa", { reservationUsd: 0.2 }), {}, { ...spent("code", 0.9), ...ceiling("qa", 1) }],
  ])("waits: %s", (code, ofRole, task, given) => {
    const found = decide(
      facts([ofRole], [{ name: "a", role: "qa", ...task }], { ...given, ...withCeiling(given, ofRole) }),
    );
    expect(found.start).toEqual([]);
    expect(why(found)).toEqual([["a", code]]);
    expect(found.wait[0]?.why).not.toBe("");
  });

  it("lets a cap be met exactly, and not a cent more", () => {
    const cap = role("qa", { dailyCapUsd: 0.6, reservationUsd: 0.2, concurrency: 9 });
    const tasks = ["a", "b", "c", "d"].map((name) => ({ name, role: "qa" }));
    const found = decide(facts([cap], tasks));
    expect(found.start.map(({ task }) => task)).toEqual(["a", "b", "c"]);
    expect(why(found)).toEqual([["d", "role_cap"]]);
  });

  it("starts no two writers of one decision that may change the same files, and readers whatever they read", () => {
    const roles = [role("code", { access: "full", concurrency: 9 }), role("qa", { concurrency: 9 })];
    const tasks = [
      { name: "a", role: "code", touches: ["src/api"] },
      { name: "b", role: "code", touches: ["src/**/*.ts"] },
      { name: "c", role: "code", touches: ["docs"] },
      { name: "d", role: "qa", touches: ["src"] },
    ];
    const found = decide(facts(roles, tasks));
    expect(found.start.map(({ task }) => task)).toEqual(["a", "c", "d"]);
    expect(found.wait).toEqual([
      { task: "b", role: "code", code: "contested", why: "a may change the same files: src/api" },
    ]);
  });

  it("lets one run write to each track", () => {
    const code = role("code", { access: "full", concurrency: 9 });
    const tasks = [
      { name: "a", role: "code", track: "x" },
      { name: "b", role: "code", track: "x" },
      { name: "c", role: "code", track: "y" },
    ];
    const found = decide(facts([code], tasks));
    expect(found.start.map(({ task }) => task)).toEqual(["a", "c"]);
    expect(why(found)).toEqual([["b", "writer"]]);
  });

  it("never exceeds a limit, gives every task an answer, and leaves no slot idle that could work", () => {
    const names = ["code", "qa", "art"];
    const roles = fc.record({
      concurrency: fc.integer({ min: 1, max: 4 }),
      dailyCapUsd: fc.option(fc.integer({ min: 0, max: 10 })),
      reservationUsd: fc.integer({ min: 0, max: 3 }),
      access: fc.constantFrom("full" as const, "read-only" as const),
    });
    const tasks = fc.array(
      fc.record({
        role: fc.constantFrom(...names),
        track: fc.constantFrom("x", "y", "z"),
        touches: fc.constantFrom(null, ["a/**"], ["a/b"], ["c"]),
      }),
    );
    fc.assert(
      fc.property(
        fc.tuple(roles, roles, roles),
        tasks,
        fc.integer({ min: 1, max: 6 }),
        fc.option(fc.nat(12)),
        (three, wanted, max, most) => {
          const given = facts(
            names.map((name, at) => role(name, three[at])),
            wanted.map((task, at) => ({ name: `t${at}`, ...task })),
            { max },
          );
          const limited = {
            ...given,
            settings: { ...given.settings, budget: { projectCeilingUsd: most, softCapRatio: 0.8 } },
          };
          const { start, wait } = decide(limited);
          expect([...start, ...wait].map(({ task }) => task).sort()).toEqual(
            given.tasks.map(({ name }) => name).sort(),
          );
          expect(start.length).toBeLessThanOrEqual(max);
          expect(new Set(start.map(({ agent }) => agent)).size).toBe(start.length);
          const writes = start.flatMap((one) => one.writes ?? []);
          expect(new Set(writes).size).toBe(writes.length);
          const touched = start.flatMap(({ task, writes: place }) => {
            const touches = given.tasks.find(({ name }) => name === task)?.touches;
            return touches && place !== null ? [{ task, touches, paths: [] }] : [];
          });
          const inA = touched.filter(({ touches }) => touches[0]?.startsWith("a"));
          expect([inA.length <= 1, touched.length - inA.length <= 1]).toEqual([true, true]);
          const cost = (of: typeof start) =>
            of.reduce((sum, one) => sum + (given.settings.roles[one.role]?.reservationUsd ?? 0), 0);
          if (most !== null) expect(cost(start)).toBeLessThanOrEqual(most);
          for (const name of names) {
            const own = start.filter((one) => one.role === name);
            const { concurrency, dailyCapUsd } = given.settings.roles[name] as Role;
            expect(own.length).toBeLessThanOrEqual(concurrency);
            if (dailyCapUsd !== null) expect(cost(own)).toBeLessThanOrEqual(dailyCapUsd);
          }
          // What waits would wait again if asked alone, beside what has started.
          for (const { task } of wait) {
            const again = decide({
              ...limited,
              tasks: given.tasks.filter(({ name }) => name === task),
              active: start.map((one) => ({ ...one })),
              claims: touched,
              spend: names.map((name) => ({
                ...{ role: name, settled: 0 },
                reserved: micros(cost(start.filter((one) => one.role === name))),
              })),
            });
            expect(again.start).toEqual([]);
          }
        },
      ),
    );
  });
});

function spent(name: string, usd: number): Partial<Facts> {
  return { spend: [{ role: name, settled: micros(usd), reserved: 0 }] };
}

/** Marks that the case has a ceiling, which is a part of the settings. */
const ceiling = (_: string, usd: number) => ({ ceilingUsd: usd }) as Partial<Facts>;

function withCeiling(given: Partial<Facts>, ofRole: Role): Partial<Facts> {
  const usd = (given as { ceilingUsd?: number }).ceilingUsd;
  if (usd === undefined) return {};
  const budget = { projectCeilingUsd: usd, softCapRatio: 0.8 };
  return { settings: { ...DEFAULT_SETTINGS, roles: { [ofRole.name]: ofRole }, budget } };
}
