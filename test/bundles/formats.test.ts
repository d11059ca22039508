import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, it } from "vitest";
import { backlog } from "../../src/bundles/formats/backlog.js";
import { beads } from "../../src/bundles/formats/beads.js";
import type { Format } from "../../src/bundles/formats/format.js";
import { type FormatName, readForeign, WRITTEN_FORMATS, writeForeign } from "../../src/bundles/formats/index.js";
import { taskmaster } from "../../src/bundles/formats/taskmaster.js";
import { keptNote, keptTask } from "../../src/tasks/kept.js";
import { KEPT_TASKS } from "../support/kept.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mu-formats-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Writes a file into the folder, and reads it as mu finds it there. */
async function read(path: string, text: string, format?: FormatName) {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
  return (await readForeign(folder, { format, as: "shop" })) ?? readForeign(join(folder, path), { format, as: "shop" });
}

const AT = "2026-05-01T10:00:00Z";
const MOMENT = "2026-05-01T10:00:00.000Z";

const WRITERS: Readonly<Record<string, Format>> = { beads, backlog, taskmaster };

it.each(WRITTEN_FORMATS)("%s gives back what it can hold: a second round changes nothing", async (name) => {
  const format = WRITERS[name] as Format;
  const round = async (tasks: Parameters<NonNullable<Format["write"]>>[0]) => {
    const [list] = await format.read(format.write?.(tasks).files ?? new Map());
    return list?.tasks ?? [];
  };
  const property = fc.asyncProperty(KEPT_TASKS, async (given) => {
    const tasks = given.map(({ name: own = "", title = "", ...fields }) => keptTask(own, title, fields));
    const once = await round(tasks);
    expect(once.map(({ title }) => title)).toEqual(tasks.map(({ title }) => title.replace(/\s+/g, " ")));
    expect(once.map(({ blockedBy }) => blockedBy.length)).toEqual(
      tasks.map(({ blockedBy }) => new Set(blockedBy.map((one) => one.replace(/@.*/, ""))).size),
    );
    expect(await round(once)).toEqual(once);
  });
  await fc.assert(property, { numRuns: 50 });
});

it("reads issues of Beads: epics wait for their children, tombstones are left out, other links are counted", async () => {
  const issues = [
    {
      ...{ id: "bd-a1", title: "Votes", description: "Count.", design: "Simple.", status: "blocked", priority: 0 },
      ...{ issue_type: "bug", assignee: "ada", labels: ["core", "a,b"], estimated_minutes: 240, created_at: AT },
      ...{
        updated_at: AT,
        external_ref: "gh-9",
        due_at: AT,
        comments: [{ author: "bob", text: "Ok.", created_at: AT }],
      },
      dependencies: [
        { issue_id: "bd-a1", depends_on_id: "bd-b2", type: "blocks" },
        { issue_id: "bd-a1", depends_on_id: "bd-e", type: "parent-child" },
        { issue_id: "bd-a1", depends_on_id: "bd-b2", type: "related" },
        { issue_id: "bd-a1", depends_on_id: "bd-zz", type: "blocks" },
      ],
    },
    {
      id: "bd-b2",
      title: "Tables",
      status: "closed",
      close_reason: "done",
      created_at: AT,
      updated_at: AT,
      closed_at: AT,
    },
    { id: "bd-e", title: "All of it", issue_type: "epic", status: "pinned" },
    { id: "bd-x", title: "Gone", status: "tombstone" },
    { id: "bd-e.1", title: "Part", status: "closed", close_reason: "rejected" },
  ];
  const [found] = (await read(".beads/issues.jsonl", issues.map((one) => JSON.stringify(one)).join("\n"))) ?? [];
  expect(found).toMatchObject({ workstream: "shop", deleted: 1 });
  expect(found?.tasks).toMatchObject([
    {
      ...{
        name: "bd-a1",
        status: "OPEN",
        hold: "blocked",
        kind: "bug",
        priority: 1,
        owner: "ada",
        tags: ["core", "a b"],
      },
      ...{ effortDays: 0.5, externalRef: "gh-9", blockedBy: ["bd-b2"], description: "Count.\n\n## Design\n\nSimple." },
      ...{ createdAt: MOMENT, notes: [{ author: "bob", text: "Ok.", createdAt: MOMENT }] },
    },
    { name: "bd-b2", status: "CLOSED", outcome: "done", closedAt: MOMENT, priority: 5 },
    { name: "bd-e", kind: "container", blockedBy: ["bd-a1"], status: "OPEN" },
    { name: "bd-e_1", status: "REJECTED", outcome: null },
  ]);
  expect(found?.left).toEqual([
    "due_at: not imported (once)",
    "link related: not imported (once)",
    "pinned: a status that mu does not have, OPEN now (once)",
    "bd-a1: waits for bd-zz, which is not there",
  ]);
  const lines =
    beads
      .write?.(found?.tasks ?? [])
      .files.get("issues.jsonl")
      ?.split("\n") ?? [];
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({
    ...{ id: "bd-a1", status: "blocked", priority: 0, estimated_minutes: 240 },
    dependencies: [
      { depends_on_id: "bd-b2", type: "blocks" },
      { depends_on_id: "bd-e", type: "parent-child" },
    ],
  });
});

it("reads what gh prints, and says what it does not take", async () => {
  const issues = [
    {
      ...{ number: 12, title: "Crash on start", body: "Trace", state: "OPEN", url: "https://github.com/o/r/issues/12" },
      ...{ labels: [{ name: "bug" }], assignees: [{ login: "ada" }, { login: "bob" }], createdAt: AT, updatedAt: AT },
      ...{ milestone: { title: "v1" }, comments: [{ author: { login: "eve" }, body: "Same here", createdAt: AT }] },
    },
    { number: 13, title: "Crash on start", state: "CLOSED", stateReason: "NOT_PLANNED", closedAt: AT, createdAt: AT },
  ];
  const [found] = (await read("list.json", JSON.stringify(issues))) ?? [];
  expect(found?.tasks).toMatchObject([
    {
      ...{ name: "crash_on_start", status: "OPEN", owner: "ada", tags: ["bug"], description: "Trace" },
      notes: [{ text: "Also: bob" }, { author: "eve", text: "Same here" }],
    },
    { name: "crash_on_start_2", status: "REJECTED", externalRef: "#13", closedAt: MOMENT },
  ]);
  expect(found?.left).toEqual(["milestone: not imported (once)"]);
  await expect(read("list.json", "[1]")).rejects.toMatchObject({ code: "import.invalid_file" });
});

it("reads a folder of Backlog.md: sections stay, marks go, drafts and the archive are counted", async () => {
  const file = (name: string, text: string) => {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  };
  file(
    "backlog/tasks/task-2 - Draw it.md",
    "---\nid: TASK-2\ntitle: Draw it\nstatus: In Progress\nassignee:\n  - '@ada'\ncreated_date: '2026-05-01 10:00'\nlabels: [ui]\n" +
      "dependencies: []\npriority: high\nmilestone: v1\nordinal: 1000\n---\n\n## Description\n\n<!-- SECTION:DESCRIPTION:BEGIN -->\nWhy.\n" +
      "<!-- SECTION:DESCRIPTION:END -->\n\n## Acceptance Criteria\n<!-- AC:BEGIN -->\n- [ ] #1 It works\n<!-- AC:END -->\n",
  );
  file(
    "backlog/tasks/task-2.1 - Lines.md",
    "---\nid: task-2.1\ntitle: Lines\nstatus: Review\ncreated_date: 2026-05-01\ndependencies: [task-1]\nparent_task_id: task-2\n---\n",
  );
  file(
    "backlog/completed/task-1 - Done.md",
    "---\nid: task-1\ntitle: Done\nstatus: Done\ncreated_date: '2026-05-01 10:00'\n---\n",
  );
  file("backlog/drafts/draft-1 - Maybe.md", "---\nid: draft-1\ntitle: Maybe\n---\n");
  const [found] = (await readForeign(folder, { as: "shop" })) ?? [];
  const byName = Object.fromEntries(found?.tasks.map((task) => [task.name, task]) ?? []);
  expect(byName).toMatchObject({
    "task-1": { status: "CLOSED", createdAt: MOMENT },
    "task-2": {
      ...{ status: "IN_PROGRESS", owner: "ada", tags: ["ui"], priority: 3, blockedBy: ["task-2_1"] },
      description: "Why.\n\n## Acceptance Criteria\n- [ ] #1 It works",
    },
    "task-2_1": { status: "OPEN", blockedBy: ["task-1"] },
  });
  expect(found?.left).toEqual([
    "milestone: not imported (once)",
    "status Review: not one of mu's, OPEN now (once)",
    "drafts: not imported (once)",
  ]);
});

it("reads each tag of Task Master as a source: a task waits for its subtasks, and they for what it waits for", async () => {
  const tasks = [
    {
      id: 1,
      title: "Set up",
      status: "done",
      priority: "high",
      description: "First.",
      details: "With npm.",
      testStrategy: "",
    },
    {
      ...{ id: 2, title: "Build", status: "pending", dependencies: [1], priority: "low", complexity: 7 },
      subtasks: [
        { id: 1, title: "Front", status: "review" },
        { id: 2, title: "Back", status: "cancelled", dependencies: [1] },
      ],
    },
  ];
  const found = await read(
    ".taskmaster/tasks/tasks.json",
    JSON.stringify({ master: { tasks }, "feature-x": { tasks: [] } }),
  );
  expect(found?.map(({ workstream }) => workstream)).toEqual(["master", "feature_x"]);
  expect(found?.[0]?.tasks).toMatchObject([
    { name: "set_up", status: "CLOSED", priority: 3, description: "First.\n\n## Details\n\nWith npm." },
    { name: "build", blockedBy: ["back", "front", "set_up"], priority: 7 },
    { name: "front", status: "OPEN", hold: "review", blockedBy: ["set_up"], externalRef: "task-master 2.1" },
    { name: "back", status: "REJECTED", blockedBy: ["front", "set_up"] },
  ]);
  expect(found?.[0]?.left).toEqual(["complexity: not imported (once)"]);
});

it("fits what is out of mu's bounds, and lists what another program cannot hold", async () => {
  const [found] =
    (await read("issues.jsonl", JSON.stringify({ id: "9", title: "x".repeat(600), created_at: "soon" }))) ?? [];
  expect(found?.tasks).toMatchObject([{ title: `${"x".repeat(499)}…`, description: "x".repeat(600) }]);
  expect(found?.left).toMatchObject([
    expect.stringContaining("longer than 500"),
    expect.stringContaining('"soon" is no moment'),
  ]);
  await expect(read("issues.jsonl", "{")).rejects.toMatchObject({ message: expect.stringContaining("line 1") });
  await expect(readForeign(join(folder, "issues.jsonl"), {})).rejects.toMatchObject({ code: "import.invalid_file" });

  const task = keptTask("a", "A", {
    ...{ createdAt: MOMENT, updatedAt: MOMENT, impact: 80, touches: ["src/**"], blockedBy: ["b@landed"] },
    notes: [keptNote({ author: "ada", kind: "decision", text: "So.", createdAt: MOMENT })],
  });
  const other = keptTask("b", "B", { createdAt: MOMENT, updatedAt: MOMENT, status: "DEFERRED" });
  const out = join(folder, "out");
  const { left } = await writeForeign(out, "backlog", [task, other]);
  expect(left).toEqual([
    "impact: not exported (once)",
    "touches: not exported (once)",
    "DEFERRED as To Do: exported (once)",
    "level of an edge: not exported (once)",
  ]);
  expect(readdirSync(join(out, "tasks"))).toEqual(["task-1 - A.md", "task-2 - B.md"]);
  expect(await writeForeign(out, "backlog", [task, other])).toMatchObject({ written: 0, unchanged: 2 });
  writeFileSync(join(out, "tasks/task-1 - A.md"), "mine");
  await expect(writeForeign(out, "backlog", [task])).rejects.toMatchObject({ code: "export.exists" });
  expect(readFileSync(join(out, "tasks/task-1 - A.md"), "utf8")).toBe("mine");
});
