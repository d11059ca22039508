import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Home, newHome } from "../support/cli.js";

let home: Home;
beforeEach(async () => {
  home = newHome();
  await home.here("workstream init shop --json", { env: { PATH: home.folder } });
});
afterEach(() => home.end());

const put = (path: string, text: string) => {
  const whole = join(home.project, path);
  mkdirSync(join(whole, ".."), { recursive: true });
  writeFileSync(whole, text);
};
const settings = (value: object) => put(".mu/settings.json", JSON.stringify(value));
const program = (name: string) => {
  put(`bin/${name}`, "#!/bin/sh\n");
  chmodSync(join(home.project, "bin", name), 0o755);
};
/** The environment in which only the programs of `program` are installed. */
const env = () => ({ PATH: join(home.project, "bin") });

describe("roles", () => {
  it("are none without a settings file, and nothing is wrong then", async () => {
    expect((await home.here("role list --json")).json()).toEqual({ items: [], count: 0 });
    expect((await home.here("role check")).stdout).toContain("0 roles checked, nothing is wrong");
    expect((await home.here("role show code --json")).fault()).toMatchObject({
      code: "role.not_found",
      exitCode: 3,
      message: expect.stringContaining("There are none."),
    });
  });

  it("are listed, shown and completed", async () => {
    settings({ roles: { code: { dailyCapUsd: 20, allowedTools: ["Read", "Edit"] }, qa: { cli: "codex" } } });
    const { stdout } = await home.here("role list");
    expect(stdout).toMatch(/code +claude +20 USD/);
    expect((await home.here("role show code --json")).json().role).toMatchObject({
      name: "code",
      allowedTools: ["Read", "Edit"],
      reservationUsd: 0.05,
    });
    expect((await home.here("role show code")).stdout).toContain("  allowedTools = Read, Edit\n");
    expect((await home.here("role show coda --json")).fault().message).toContain("Did you mean code?");
    const words = async (line: string[]) =>
      (await home.here(["complete", "--json", "--", ...line]))
        .json()
        .items.map(({ value }: { value: string }) => value);
    expect(await words(["role", "show", ""])).toEqual(["code", "qa"]);
    expect(await words(["task", "add", "--role", "c"])).toEqual(["code"]);
  });

  it("name all mistakes of a broken file", async () => {
    settings({ roles: { code: { dailyCapUsd: "20", cli: "cloude" } } });
    for (const line of ["role list", "role check"]) {
      const { code, details, message } = (await home.here(`${line} --json`)).fault() as unknown as Record<
        string,
        string
      >;
      expect({ code, details }).toEqual({ code: "settings.invalid", details: undefined });
      expect(message).toContain("roles.code.cli: must be claude");
      expect(message).toContain("roles.code.dailyCapUsd: must be a number");
    }
  });

  it("are checked: every finding is listed, and errors exit with 1", async () => {
    program("claude");
    put("good.md", "Write code.\n");
    put("empty.md", " \n");
    settings({
      budget: { projectCeilingUsd: 50 },
      roles: {
        good: { prompt: "good.md", dailyCapUsd: 1 },
        missing: { prompt: "none.md" },
        empty: { prompt: "empty.md", cli: "codex" },
        poor: { prompt: "good.md", dailyCapUsd: 0.1, reservationUsd: 0.2 },
        rich: { prompt: "good.md", reservationUsd: 60 },
        free: { cli: "command", command: "FOO=1 ./bin/claude -p", access: "read-only", allowedTools: [] },
        never: { prompt: "good.md", dailyCapUsd: 0 },
        loose: { prompt: "good.md", dailyCapUsd: 1, reservationUsd: 0 },
      },
    });
    const { code, json } = await home.here("role check --json", { env: env() });
    expect(code).toBe(1);
    expect(
      json().findings.map((one: Record<string, string>) => `${one["verdict"]} ${one["role"]} ${one["says"]}`),
    ).toEqual([
      "error missing its prompt none.md does not exist",
      "error empty its prompt empty.md is empty",
      'error empty its program "codex" is not installed',
      "error poor reserves 0.2 USD, more than its cap of 0.1 USD",
      "error rich reserves 60 USD, more than the project's 50 USD",
      "warning free has read-only access and allowedTools, which command cannot enforce",
      "warning free has no prompt: its runs know only their task",
      "warning never has a cap of 0 USD, so it never runs",
      "warning loose reserves nothing, so its runs can exceed its cap",
    ]);
    expect(await home.here("role check good", { env: env() })).toMatchObject({
      code: 0,
      stdout: "1 role checked, nothing is wrong\n",
    });
    expect((await home.here("role check never", { env: env() })).code).toBe(0);
  });
});

describe("mu workstream show", () => {
  it("prints each value with its source, and never a whole topic", async () => {
    await home.here("workstream set checkTimeoutSeconds 600");
    settings({ budget: { softCapRatio: 0.8 }, notifications: { ntfyTopic: "shop-secret" } });
    const { stdout } = await home.here("workstream show");
    expect(stdout).toContain("  checkTimeoutSeconds = 600 (database)\n");
    expect(stdout).toContain("  titles = name (default)\n");
    expect(stdout).toContain("  budget.softCapRatio = 0.8 (file)\n");
    expect(stdout).toContain("  budget.projectCeilingUsd = — (default)\n");
    expect(stdout).toContain("  notifications.ntfyTopic = shop… (file)\n");
    put(".mu/settings.json", "{");
    const broken = await home.here("workstream show --json");
    expect(broken.json()).toMatchObject({ problem: expect.stringContaining(".mu/settings.json is not valid") });
    expect(broken.json().values).toContainEqual({ key: "titles", value: "name", source: "default" });
  });
});

describe("the environment of a project", () => {
  const authMode = async (env = {}) => {
    const { values, problem } = (await home.here("workstream show --json", { env })).json();
    return problem ?? values.find(({ key }: { key: string }) => key === "auth.mode");
  };

  it("says how CLIs sign in, above .env, above the settings file", async () => {
    const row = (value: string, source: string) => ({ key: "auth.mode", value, source });
    expect(await authMode()).toEqual(row("auto", "default"));
    put(".mu/settings.json", '{"auth":{"mode":"api"}}');
    expect(await authMode()).toEqual(row("api", "file"));
    put(".env", "\ufeff# keys\nPRODUCER_AUTH_MODE='inherit'\n");
    expect(await authMode()).toEqual(row("inherit", "environment"));
    expect(await authMode({ PRODUCER_AUTH_MODE: "subscription" })).toEqual(row("subscription", "environment"));
    expect(await authMode({ MU_AUTH_MODE: "auto" })).toEqual(row("auto", "environment"));
    expect(await authMode({ MU_AUTH_MODE: "key" })).toBe(
      "$MU_AUTH_MODE is not valid: must be auto, api, subscription, inherit",
    );
  });

  it("names the programs of roles, and a folder .env is none", async () => {
    put("writer.md", "Write code.\n");
    settings({ roles: { code: { prompt: "writer.md" } } });
    program("writer");
    const check = async (own = {}) => (await home.here("role check", { env: { PATH: home.folder, ...own } })).code;
    put(".env", "MU_CLAUDE_COMMAND=./bin/writer\n");
    expect(await check()).toBe(0);
    expect(await check({ MU_CLAUDE_COMMAND: "./bin/missing" })).toBe(1);
    rmSync(join(home.project, ".env"));
    mkdirSync(join(home.project, ".env"));
    expect(await check()).toBe(1);
  });
});

describe("mu task import", () => {
  const importing = (tasks: unknown) => {
    put("tasks.json", JSON.stringify(tasks));
    return home.here("task import tasks.json --json");
  };
  const names = async () =>
    (await home.here("task list --json"))
      .json()
      .items.map(({ name, role }: Record<string, string>) => `${name} ${role}`);

  it("takes role, agent and agent_owner, and adds all tasks", async () => {
    const tasks = [
      { agent: "code", title: "Pay by card", description: "With the test card", payload: { a: 1 }, priority: 2 },
      { role: "qa", title: "Test it" },
      { agent_owner: "design", title: "Pay by card", priority: null },
    ];
    expect((await importing(tasks)).json().tasks).toEqual(["pay_by_card", "test_it", "pay_by_card_2"]);
    expect((await names()).sort()).toEqual(["pay_by_card code", "pay_by_card_2 design", "test_it qa"]);
    expect((await home.here("task show pay_by_card --json")).json().task).toMatchObject({
      priority: 2,
      payload: { a: 1 },
    });
    expect((await importing({ tasks: [] })).json().tasks).toEqual([]);
  });

  it.each([
    ["a task without a title", [{ title: "One" }, { role: "qa" }], "plan.invalid", "[1]: needs a title"],
    ["an unknown key", [{ title: "One", priorty: 3 }], "plan.invalid", "Did you mean priority?"],
    ["two roles", [{ title: "One", role: "a", agent: "b" }], "plan.invalid", "[0]: names two roles"],
    ["a priority out of bounds", [{ title: "One" }, { title: "Two", priority: 12 }], "task.invalid_field", "[1]: "],
    ["no list", { title: "One" }, "plan.invalid", "must be a list of tasks"],
  ])("refuses %s and adds nothing", async (_, tasks, code, message) => {
    expect((await importing(tasks)).fault()).toMatchObject({ code, message: expect.stringContaining(message) });
    expect(await names()).toEqual([]);
  });

  it("refuses roles that the project does not have", async () => {
    settings({ roles: { code: {}, qa: {} } });
    expect(
      (
        await importing([
          { title: "One", agent: "code" },
          { title: "Two", agent: "cod" },
        ])
      ).fault(),
    ).toMatchObject({
      code: "role.unknown",
      exitCode: 4,
      message: 'Unknown role "cod". Did you mean code? The roles are code, qa.',
    });
    expect(await names()).toEqual([]);
  });

  it("and task add take --agent for --role", async () => {
    await home.here("task add one --title One --agent code");
    expect(await names()).toEqual(["one code"]);
  });
});
