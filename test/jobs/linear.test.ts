import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { importIssue } from "../../src/jobs/linear.js";
import { type Home, newHome } from "../support/cli.js";
import { answering, type FakeLinear, fakeLinear } from "../support/linear.js";
import { seededApp } from "../support/seeded.js";

const KEY = "lin_api_0123456789abcdef";
let home: Home;
let linear: FakeLinear;
let env: Record<string, string>;
beforeEach(async () => {
  [home, linear] = [newHome(), await fakeLinear()];
  env = { LINEAR_API_KEY: KEY, MU_LINEAR_URL: linear.url, MU_NO_TMUX: "1" };
  settings({ teamPrefix: "ENG", teamId: "team-1" });
  expect((await mu("workstream init shop --json")).code).toBe(0);
});
afterEach(async () => {
  home.end();
  await linear.end();
});

const at = (path: string) => join(home.project, path);
const put = (path: string, text: string) => {
  mkdirSync(join(at(path), ".."), { recursive: true });
  writeFileSync(at(path), text);
};
const read = (path: string) => readFileSync(at(path), "utf8");
const settings = (group: object) => put(".mu/settings.json", JSON.stringify({ linear: group }));
const mu = (line: string) => home.here(line, { env: { ...env, MU_WORKSTREAM: "shop" } });
const fault = async (line: string) => {
  const ran = await mu(`${line} --json`);
  expect(`${ran.stdout}${ran.stderr}`).not.toContain(env["LINEAR_API_KEY"] || KEY);
  const { code, message, nextSteps } = ran.fault();
  return { exit: ran.code, code, message, nextSteps };
};
const task = async (name: string) => {
  const { payload, ...row } = (await mu(`task show ${name} --json`)).json().task;
  return { ...row, payload };
};
const job = async (name: string, text?: string) => {
  expect((await mu(`job new ${name}`)).code).toBe(0);
  if (text !== undefined) put(`.mu/jobs/${name}/task.md`, text);
};

/** Nobody else gets the key. */
const elsewhere = (_: unknown, response: ServerResponse) => response.writeHead(307, { location: linear.url }).end();

describe("mu linear import", () => {
  it("makes a job of an issue, with one proper request, and remembers it", async () => {
    const { code, json } = await mu("linear import ENG-7 --json");
    expect({ code, ...json() }).toMatchObject({ code: 0, job: "eng-7", made: true, path: ".mu/jobs/eng-7/task.md" });
    expect(read(".mu/jobs/eng-7/task.md")).toBe("# Add a dark mode\n\nFor the night.\n\n# Not a title\n");
    expect(linear.asked).toEqual([
      {
        ...{ method: "POST", authorization: KEY, contentType: "application/json", variables: { id: "ENG-7" } },
        query: expect.stringMatching(
          /^query \w+\(\$id: String!\) \{ issue\(id: \$id\) \{[^}]*\bdescription\b[^}]*\} \}$/,
        ),
      },
    ]);
    expect(await task("eng-7")).toMatchObject({
      ...{ kind: "job", externalRef: "ENG-7" },
      payload: { linear: { identifier: "ENG-7", url: "https://linear.app/acme/issue/ENG-7" } },
    });
    expect((await mu("task show eng-7")).stdout).not.toContain("identifier");
    expect((await mu("log -n 1")).stdout).toContain("imported ENG-7 into eng-7");
  });

  it("takes a number with the team's prefix, and the key from the project's .env", async () => {
    delete env["LINEAR_API_KEY"];
    put(".env", `LINEAR_API_KEY='${KEY}'\nMU_LINEAR_URL=http://127.0.0.1:9/thief\n`);
    await job("theme");
    expect((await mu("linear import 12 --job theme")).code).toBe(0);
    expect(linear.asked).toMatchObject([{ authorization: KEY, variables: { id: "ENG-12" } }]);
    settings({});
    expect(await fault("linear import 12")).toMatchObject({ exit: 2, code: "linear.no_prefix" });
  });

  it("keeps a task.md that is there, and its history when it is forced", async () => {
    await job("theme", "my own\n");
    expect(await fault("linear import ENG-7 --job theme")).toMatchObject({ exit: 4, code: "linear.task_exists" });
    expect(linear.asked).toEqual([]);
    expect((await mu("linear import ENG-7 --job theme --force")).code).toBe(0);
    expect(read(".mu/jobs/theme/.history/task.1.md")).toBe("my own\n");
    expect(read(".mu/jobs/theme/task.md")).toContain("Add a dark mode");
    await job("other");
    expect(await fault("linear import eng-7 --job other")).toMatchObject({ exit: 4, code: "linear.linked_already" });
    expect(await fault("linear import ENG-9 --job theme")).toMatchObject({ exit: 4, code: "linear.other_issue" });
    expect(await fault("linear import ENG-7")).toMatchObject({ exit: 4, code: "linear.task_exists" });
  });

  it("adopts a folder that is there, and refuses a task.md that leads out of the project", async () => {
    put(".mu/jobs/eng-7/notes.txt", "mine");
    expect((await mu("linear import ENG-7")).code).toBe(0);
    await job("theme");
    writeFileSync(join(home.folder, "outside.md"), "outside");
    symlinkSync(join(home.folder, "outside.md"), at(".mu/jobs/theme/task.md"));
    expect(await fault("linear import ENG-9 --job theme --force")).toMatchObject({ code: "file.outside" });
    expect(readFileSync(join(home.folder, "outside.md"), "utf8")).toBe("outside");
  });

  it("changes nothing after an answer that it cannot use", async () => {
    const answers = [
      ["errors with HTTP 200", answering({ errors: [{ message: `Entity not found (${KEY})` }] }), 1, "linear.refused"],
      [
        "a limit, which is HTTP 400",
        answering({ errors: [{ message: "slow", extensions: { code: "RATELIMITED" } }] }, 400),
        5,
        "linear.rate_limited",
      ],
      [
        "a key that is wrong",
        answering({ errors: [{ extensions: { code: "AUTHENTICATION_ERROR" } }] }, 401),
        5,
        "linear.unauthorized",
      ],
      ["no issue", answering({ data: { issue: null } }), 5, "linear.bad_answer"],
      [
        "an issue whose id is a path",
        answering({ data: { issue: { identifier: "../x", title: "t" } } }),
        5,
        "linear.bad_answer",
      ],
      ["garbage", answering("garbage"), 5, "linear.bad_answer"],
      ["a page", (_: unknown, response: ServerResponse) => response.end("<html>"), 5, "linear.bad_answer"],
      [
        "a huge answer",
        (_: unknown, response: ServerResponse) => response.end(" ".repeat(5_000_000)),
        5,
        "linear.bad_answer",
      ],
      ["a cut line", (_: unknown, response: ServerResponse) => response.destroy(), 5, "linear.unreachable"],
      ["another address", elsewhere, 5, "linear.unreachable"],
    ] as const;
    await job("theme");
    for (const [name, answer, exit, code] of answers) {
      linear.answer(answer as never);
      expect({ name, ...(await fault("linear import ENG-7 --job theme")) }).toMatchObject({ name, exit, code });
    }
    expect(existsSync(at(".mu/jobs/theme/task.md"))).toBe(false);
    expect(await task("theme")).toMatchObject({ externalRef: null });
    expect(linear.asked).toHaveLength(answers.length);
  });

  it("waits only so long", async () => {
    const app = await seededApp();
    onTestFinished(app.end);
    linear.answer(() => {});
    const crew = { ...(await app.world.openCrew(app.context, app.request)), env };
    const asked = importIssue(crew, "demo", { issue: "ENG-7" }, { timeoutMs: 20 });
    await expect(asked).rejects.toMatchObject({
      code: "linear.unreachable",
      message: expect.stringContaining("no answer"),
    });
  });

  it("says which key is missing or unusable, before it asks anybody", async () => {
    env["LINEAR_API_KEY"] = "";
    expect(await fault("linear import ENG-7")).toMatchObject({
      ...{ exit: 5, code: "linear.no_key", message: expect.stringContaining("LINEAR_API_KEY is not set") },
    });
    env["LINEAR_API_KEY"] = "lin_api_broken\nin two";
    expect(await fault("linear import ENG-7")).toMatchObject({ exit: 5, code: "linear.no_key" });
    expect(await fault("linear import ../../etc")).toMatchObject({ code: "linear.no_key" });
    expect(linear.asked).toEqual([]);
  });
});

describe("mu linear export", () => {
  it("updates the issue that the job has", async () => {
    await mu("linear import ENG-7");
    put(".mu/jobs/eng-7/task.md", "intro\n# A dark mode, please\n\n- one\n");
    linear.asked.length = 0;
    const { code, json } = await mu("linear export eng-7 --json");
    expect({ code, ...json() }).toMatchObject({ code: 0, created: false, issue: { identifier: "ENG-7" } });
    expect(linear.asked).toEqual([
      {
        ...{ method: "POST", authorization: KEY, contentType: "application/json" },
        query: expect.stringMatching(
          /^mutation \w+\(\$id: String!, \$input: IssueUpdateInput!\) \{ issueUpdate\(id: \$id, input: \$input\)/,
        ),
        variables: { id: "ENG-7", input: { title: "A dark mode, please", description: "intro\n\n- one" } },
      },
    ]);
  });

  it("makes an issue once, and updates it from then on", async () => {
    await job("theme", "# Themes\n\nA dark one.\n");
    expect((await mu("linear export theme --dry-run --json")).json()).toMatchObject({ title: "Themes", issue: null });
    expect(linear.asked).toEqual([]);
    expect((await mu("linear export theme --json")).json()).toMatchObject({
      created: true,
      issue: { identifier: "ENG-8" },
    });
    expect(linear.asked).toMatchObject([
      { variables: { input: { teamId: "team-1", title: "Themes", description: "A dark one." } } },
    ]);
    expect(linear.asked[0]?.query).toMatch(
      /^mutation \w+\(\$input: IssueCreateInput!\) \{ issueCreate\(input: \$input\)/,
    );
    expect(await task("theme")).toMatchObject({ externalRef: "ENG-8", payload: { linear: { identifier: "ENG-8" } } });
    expect((await mu("linear export theme --json")).json()).toMatchObject({ created: false });
    expect(linear.asked[1]).toMatchObject({ variables: { id: "ENG-8" } });
  });

  it("never asks twice for an issue whose answer was lost", async () => {
    await job("theme", "# Themes\n");
    linear.answer((_, response) => response.destroy());
    expect(await fault("linear export theme")).toMatchObject({ exit: 5, code: "linear.answer_lost" });
    linear.answer(undefined);
    const { exit, code, nextSteps } = await fault("linear export theme");
    expect({ exit, code }).toEqual({ exit: 4, code: "linear.maybe_created" });
    expect(linear.asked).toHaveLength(1);
    expect(nextSteps.map(({ command }) => command)).toEqual([
      "mu task update theme --external-ref <ID> -w shop",
      "mu linear export theme --force -w shop",
    ]);
    expect((await mu("linear export theme --force --json")).json()).toMatchObject({ created: true });
  });

  it("may ask again after a refusal, and after a server that was never reached", async () => {
    await job("theme", "# Themes\n");
    linear.answer(answering({ errors: [{ message: "teamId must be a UUID" }], data: null }, 400));
    expect(await fault("linear export theme")).toMatchObject({ exit: 1, code: "linear.refused" });
    linear.answer(answering({ data: { issueCreate: { success: false } } }));
    expect(await fault("linear export theme")).toMatchObject({ exit: 1, code: "linear.refused" });
    const gone = await fakeLinear();
    await gone.end();
    env["MU_LINEAR_URL"] = gone.url;
    expect(await fault("linear export theme")).toMatchObject({ exit: 5, code: "linear.unreachable" });
    env["MU_LINEAR_URL"] = linear.url;
    linear.answer(undefined);
    expect((await mu("linear export theme")).code).toBe(0);
  });

  it("takes an answer of HTTP 500 and one that names no issue as lost", async () => {
    for (const [name, answer] of [
      ["one", answering({ errors: [{ message: "oops" }] }, 500)],
      ["two", answering({ data: { issueCreate: { success: true } } })],
    ] as const) {
      await job(name, "# Themes\n");
      linear.answer(answer);
      expect(await fault(`linear export ${name}`)).toMatchObject({ exit: 5, code: "linear.answer_lost" });
    }
  });

  it("makes one issue of two exports at once", async () => {
    await job("theme", "# Themes\n");
    const lines = ["linear export theme", "linear export theme"];
    const ends = await Promise.all(lines.map((line) => home.mu(line, { env: { ...env, MU_WORKSTREAM: "shop" } })));
    expect(ends.map(({ code }) => code).filter((code) => code !== 0 && code !== 4)).toEqual([]);
    expect(linear.asked.filter(({ query }) => query.includes("issueCreate"))).toHaveLength(1);
  });

  it("refuses without a text, a team, or where the reference is something else's", async () => {
    await job("theme");
    expect(await fault("linear export theme")).toMatchObject({ exit: 4, code: "linear.no_task" });
    put(".mu/jobs/theme/task.md", "# Themes\n");
    settings({});
    expect(await fault("linear export theme")).toMatchObject({ exit: 2, code: "linear.no_team" });
    await mu("task update theme --external-ref https://github.com/a/b/issues/1");
    expect(await fault("linear export theme")).toMatchObject({ exit: 4, code: "linear.other_reference" });
    expect(linear.asked).toEqual([]);
  });
});
