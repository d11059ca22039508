import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { VERBS } from "../src/operations/manifest.js";
import { type Home, newHome, outcome, PROGRAM, runHere } from "./support/cli.js";
import { parseCommand } from "./support/command.js";

let home: Home;
beforeEach(() => {
  home = newHome();
});
afterEach(() => home.end());

/** Runs lines one after the other; all must go well. Gives the last. */
async function all(...lines: string[]) {
  let last = await home.here("me");
  for (const line of lines) {
    last = await home.here(line);
    expect(`${line} → ${last.code} ${last.stderr}`).toBe(`${line} → 0 `);
  }
  return last;
}

/** The workstream demo, for the project folder: build, deploy behind it, docs. */
const planned = () =>
  all(
    "workstream init demo",
    "task add build --title 'Build it' --impact 80",
    "task add deploy --title 'Deploy it' --blocked-by build",
    "task add docs --title 'Write the docs' --tags text,core",
  );

describe("help", () => {
  it("is sorted, on stdout, with exit 0, however it is asked for", async () => {
    for (const line of ["task", "task --help", "help task", "task -w demo --yes", "audit", "db", "workstream"]) {
      const { code, stdout, stderr } = await home.here(line);
      expect([line, code, stderr]).toEqual([line, 0, ""]);
      const commands = [...stdout.slice(stdout.indexOf("Commands:")).matchAll(/^ {2}([a-z-]+)/gm)].map(
        ([, name]) => name,
      );
      expect(commands.length).toBeGreaterThan(0);
      expect(commands).toEqual([...commands].sort());
    }
  });

  it("of mu has the first steps and every command once, on one screen of 80 columns", async () => {
    const wanted = (await home.here("--help")).stdout;
    for (const line of ["-h", "help"]) expect((await home.here(line)).stdout).toBe(wanted);
    const lines = wanted.split("\n");
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    expect(lines.length).toBeLessThanOrEqual(66);
    const words = new Set(
      VERBS.flatMap(({ name, aliases }) => [name, ...aliases].map((one) => one.split(/[. ]/, 1)[0])),
    );
    const plumbing = wanted.slice(wanted.indexOf("Plumbing:")).match(/[a-z]+(?=,|\n)/g) ?? [];
    const listed = [...wanted.matchAll(/^ {2}([a-z]+) {2,}\S/gm)].map(([, name]) => name ?? "");
    expect([...listed, ...plumbing].filter((name) => words.has(name)).sort()).toEqual([...words].sort());
    for (const [, command = ""] of wanted.matchAll(/^ {2}(mu [a-z][^\n]*?) {3}/gm))
      expect(parseCommand(command)).toBeDefined();
  });

  it("is there for every verb, with its examples and what --json, -w and --yes mean", async () => {
    for (const verb of VERBS) {
      const { code, stdout } = await runHere([...verb.name.split("."), "--help"]);
      expect(code).toBe(0);
      expect(stdout).toContain(verb.summary.slice(0, 30));
      for (const { command, shows, fault } of verb.examples) {
        if (fault === undefined) expect(stdout).toContain(`  ${command}\n      ${shows}\n`);
        else expect(stdout).not.toContain(`\n  ${command}\n`);
      }
      expect(stdout).toContain("--json");
    }
  });

  it("fits into 80 columns, but for its examples", async () => {
    for (const verb of VERBS) {
      const { stdout } = await runHere([...verb.name.split("."), "--help"]);
      const [text = ""] = stdout.split("\nExamples:\n");
      expect(text.split("\n").filter((line) => line.length > 80)).toEqual([]);
    }
  });

  it("of a verb is reached from every side", async () => {
    const wanted = (await home.here("task claim --help")).stdout;
    for (const line of [
      "help task claim",
      "task claim -h",
      "--help task claim",
      "task --help claim",
      "task claim x --help",
    ]) {
      expect([line, (await home.here(line)).stdout]).toEqual([line, wanted]);
    }
  });
});

describe("a wrong line", () => {
  it.each([
    ["tsk list", "usage.unknown_command", "Did you mean task?"],
    ["task clam build", "usage.unknown_command", "Did you mean claim?"],
    ["task add x --titel y", "usage.unknown_option", "Did you mean --title?"],
    ["task show", "usage.missing_argument", "task"],
    ["task show a b", "usage.too_many_arguments", "argument"],
    ["task add x --title", "usage.missing_value", "--title"],
    [
      "task add x --title y --impact much",
      "usage.invalid_input",
      '--impact is a whole number from 1 to 100, not "much".',
    ],
    ["task add x --title y --impact 101", "usage.invalid_input", "--impact is a whole number from 1 to 100, not 101."],
    ["task list --status DONE", "usage.invalid_input", '--status: "DONE" must be one of OPEN, IN_PROGRESS,'],
    ["task list --tag a,,b", "usage.invalid_input", '--tag: "" must not be blank.'],
    ["task wait x --timeout soon", "usage.invalid_input", "--timeout: must be a duration"],
    ["task close x --evidence ''", "usage.invalid_input", "--evidence: must not be empty."],
  ])("mu %s", async (line, code, hint) => {
    const json = await home.here(`--json ${line}`);
    expect([json.code, json.stdout, json.stderr.trim().split("\n").length]).toEqual([2, "", 1]);
    expect(json.fault()).toMatchObject({ error: "usage", code, exitCode: 2 });
    expect(json.fault().message).toContain(hint);

    const text = await home.here(line);
    expect([text.code, text.stdout]).toEqual([2, ""]);
    expect(text.stderr).toMatch(/^mu: /);
    expect(text.stderr).toContain("--help");
    expect(text.stderr.split("\n").length).toBeLessThan(8);
  });

  it("that adds a task without a title says what is missing", async () => {
    await all("workstream init demo");
    const { code, stderr } = await home.here("task add");
    expect([code, stderr.split("\n", 1)]).toEqual([2, ["mu: A task needs a title."]]);
  });

  it("tells its usage in JSON, whoever found the mistake", async () => {
    for (const line of ["task claim --nope --json", "task claim --lease soon --json", "task claim --json"]) {
      const { usage } = (await home.here(`-w demo ${line}`)).fault();
      expect(usage).toMatchObject({ command: "mu task claim", synopsis: "mu task claim [task] [options]" });
      expect(usage).toHaveProperty("args", [
        { name: "task", required: false, variadic: false, description: expect.any(String) },
      ]);
      expect((usage as { options: unknown[] }).options).toContainEqual({
        flags: "-f, --for <agent>",
        description: "Claim for this agent",
        mandatory: false,
        valueRequired: true,
      });
    }
  });
});

describe("-w, --json and --yes", () => {
  it("may stand anywhere on the line", async () => {
    await planned();
    await home.here("workstream init elsewhere", { cwd: home.folder });
    const outside = { cwd: home.folder };
    for (const line of [
      "-w demo --json task list",
      "task -w demo list --json",
      "--json task list --workstream demo",
      "task --json list --workstream=demo",
      "task list -wdemo --json",
    ]) {
      expect([line, (await home.here(line, outside)).json().count]).toEqual([line, 3]);
    }
    for (const line of ["--yes task delete docs --json", "task --yes delete deploy --json"]) {
      expect([line, (await home.here(line)).json()]).toMatchObject([line, { deleted: true }]);
    }
    expect((await home.here("task show build --yes")).code).toBe(0);
  });

  it("are plain words behind --", async () => {
    await all("workstream init demo", "task add -- a", "task note a -- --json", "task note a -- -w");
    const { items } = (await home.here("task notes a --json")).json();
    expect(items.map((note: { text: string }) => note.text)).toEqual(["--json", "-w"]);
  });
});

describe("bare mu", () => {
  it("lists the workstreams, or is the card of the one that this folder is in", async () => {
    expect((await home.here("")).stdout).toContain("No workstreams yet");
    await planned();
    const inside = await home.here("", { cwd: home.project });
    expect(inside.stdout).toContain("3 tasks: 2 ready, 1 blocked");
    expect((await home.here("--json")).json().workstream).toBe("demo");
    expect((await home.here("", { cwd: home.folder })).stdout).toContain("Workstreams");
  });

  it("works in a folder that was removed under it, as an agent's workspace may be", async () => {
    await planned();
    const { code, json } = await home.sh("mkdir gone && cd gone && rmdir ../gone && mu task list -w demo --json");
    expect([code, json().count]).toEqual([0, 3]);
  });

  it("tells its version, to programs with the version of its JSON", async () => {
    const { version } = (await home.mu("--version --json")).json();
    expect((await home.mu("--json -V")).json()).toEqual({ version, json: 1, node: process.version });
    for (const line of ["--version", "-V"]) expect((await home.mu(line)).stdout).toBe(`${version}\n`);
  });
});

describe("names", () => {
  beforeEach(planned);

  it("that are unknown are exit 3, with the nearest", async () => {
    const fault = (await home.here("task show biuld --json")).fault();
    expect(fault).toMatchObject({ error: "missing", code: "task.not_found", exitCode: 3 });
    expect(fault.message).toContain("Did you mean build?");
    expect((await home.here("task list -w dmo --json")).fault()).toMatchObject({
      code: "workstream.not_found",
      message: expect.stringContaining("Did you mean demo?"),
    });
  });

  it("that several workstreams have are exit 4, with the candidates", async () => {
    await all("workstream init other", "task add build -t Too -w other");
    const fault = (await home.here("task show build --json", { cwd: home.folder })).fault();
    expect(fault).toMatchObject({ error: "conflict", code: "task.ambiguous", exitCode: 4 });
    expect(fault.nextSteps.map((step) => step.command)).toEqual([
      "mu task show demo/build",
      "mu task show other/build",
    ]);
    expect((await home.here("task show docs --json", { cwd: home.folder })).json().task.workstream).toBe("demo");
  });

  it("may be qualified, and must then agree with -w", async () => {
    const outside = { cwd: home.folder, env: { MU_WORKSTREAM: "nowhere" } };
    expect((await home.here("task show demo/build --json", outside)).json().task.name).toBe("build");
    expect((await home.here("task show demo/build -w demo --json", outside)).code).toBe(0);
    expect((await home.here("task show demo/build -w other --json", outside)).fault().code).toBe(
      "usage.two_workstreams",
    );
  });

  it("of the workstream come from -w, the environment, then the folder", async () => {
    await all("workstream init other", "workstream init third");
    const scope = async (line: string, env: Record<string, string> = {}) =>
      (await home.here(`${line} state --json`, { env, cwd: home.project })).json().workstream;
    expect(await scope("")).toBe("demo");
    expect(await scope("", { MU_SESSION: "third" })).toBe("third");
    expect(await scope("", { MU_WORKSTREAM: "other", MU_SESSION: "third" })).toBe("other");
    expect(await scope("-w third", { MU_WORKSTREAM: "other" })).toBe("third");
  });
});

describe("a workstream's folder", () => {
  it("is not given up, nor left without a word, when it is started again elsewhere", async () => {
    await planned();
    const elsewhere = await home.here("workstream init demo --json", { cwd: home.folder });
    expect([elsewhere.code, elsewhere.fault().code]).toEqual([4, "workstream.other_folder"]);
    expect(elsewhere.fault().message).toContain(home.project);
    expect(elsewhere.fault().nextSteps.map(({ command }) => command)).toEqual([
      "mu state -w demo",
      "mu workstream set root . -w demo",
      "mu workstream init <name>",
    ]);
    await all("workstream init demo");
    expect((await home.here("workstream init demo --root .", { cwd: home.folder })).code).toBe(0);
    expect((await home.here("workstream show -w demo --json")).json().workstream.root).toBe(home.folder);
  });

  it("may be shared, and mu says so", async () => {
    await planned();
    expect((await home.here("workstream init second")).stdout).toContain("demo has this folder too: pass -w second");
    expect((await home.here("workstream init third --root ..")).stdout).not.toContain("too");
  });
});

describe("the log", () => {
  it("is not written by a word that may have been meant as a filter: mu asks", async () => {
    await planned();
    const before = (await home.here("log --json -n 0")).json().count;
    const { code, stdout, stderr } = await home.here(["log", "perf"]);
    expect([code, stdout]).toEqual([2, ""]);
    for (const line of ["mu log write perf", "mu log --source perf", "mu task history perf"])
      expect(stderr).toContain(line);
    const { nextSteps } = (await home.here(["log", "Freeze until Monday", "--kind", "decision", "--json"])).fault();
    expect(nextSteps[0]).toMatchObject({ command: "mu log write 'Freeze until Monday'" });
    expect((await home.here("log --json -n 0")).json().count).toBe(before);
    await all("log write 'Freeze until Monday' --kind decision");
    expect((await home.here("log --kind decision")).stdout).toContain("Freeze until Monday");
  });
});

describe("output", () => {
  it("has no colour in a pipe, whatever the terminal is said to be", async () => {
    await planned();
    for (const env of [{ TERM: "xterm-256color" }, { NO_COLOR: "1" }, { CLICOLOR_FORCE: "1" }]) {
      for (const line of ["state", "task list", "task show nope", "task --help"]) {
        const { stdout, stderr } = await home.here(line, { env });
        expect(stdout + stderr).not.toContain("\u001b");
      }
    }
  });

  it("lets no stored text steer the terminal, and loses none of it in JSON", async () => {
    await planned();
    await all("task add evil --title $'x' --workstream demo");
    const evil = "\u001b]0;gotcha\u0007 \u009b2J and\rmore";
    await home.here(["task", "update", "evil", "--title", evil, "--description", evil]);
    await home.here(["task", "note", "evil", evil]);
    await home.here(["log", "write", evil]);
    for (const line of [
      "task show evil",
      "task list",
      "task notes evil",
      "log",
      "state",
      "sql 'select title from tasks'",
    ]) {
      const { stdout } = await home.here(line);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
      expect(stdout).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
    }
    expect((await home.here("task show evil --json")).json().task.title).toBe(evil);
  });

  it("of a write ends with what makes sense now", async () => {
    await planned();
    const { stdout } = await home.here("task claim --next");
    expect(stdout).toMatch(/^Claimed build for ann: Build it\nNext:\n {2}\S/);
    expect(stdout).toContain(": mu task close demo/build\n");
  });
});

describe("texts", () => {
  it("come from a file, from standard input, or as they stand", async () => {
    await planned();
    writeFileSync(join(home.project, "report.md"), "# Report\n\nAll green.\n");
    await all(
      "task note build 'As it stands'",
      "task note build --file report.md",
      "task update build --description @report.md",
    );
    expect((await home.here("task note build -", { input: "Piped\nin\n" })).code).toBe(0);
    const { task, notes } = (await home.here("task show build --json")).json();
    expect(notes.map((note: { text: string }) => note.text)).toEqual([
      "As it stands",
      "# Report\n\nAll green.",
      "Piped\nin",
    ]);
    expect(task.description).toBe("# Report\n\nAll green.");
    expect((await home.here("task note build --file nothing.md --json")).fault()).toMatchObject({
      code: "file.not_readable",
      exitCode: 2,
      message: expect.stringContaining("nothing.md"),
    });
  });

  it("are split at commas only in lists of names", async () => {
    await planned();
    await all(
      "task add pages --title Pages --tag core,ui --note 'Two pages, one cart' --note 'a, b'",
      "task update build --tags a,b",
    );
    const { task, notes } = (await home.here("task show pages --json")).json();
    expect(notes.map((note: { text: string }) => note.text)).toEqual(["Two pages, one cart", "a, b"]);
    expect(task.tags).toEqual(["core", "ui"]);
    expect(parseCommand("mu complete -- task note 'a, b'").input["words"]).toEqual(["task", "note", "a, b"]);
    expect(parseCommand("mu agent spawn ada --env LIST=a,b").input["env"]).toEqual(["LIST=a,b"]);
  });

  it("may begin with a dash, and the message names -- where one looks like a flag", async () => {
    await planned();
    const texts = ["- fixed\n- tested", "--- a/file\n+++ b/file", "-> see docs", "-"];
    for (const text of texts) {
      expect((await home.here(["task", "note", "build", text, "--kind", "test"], { input: "piped" })).code).toBe(0);
      expect((await home.here(["task", "release", "build", "--evidence", text])).code).toBe(0);
    }
    expect((await home.here(["log", "write", "- a message", "-w", "demo"])).code).toBe(0);
    const { notes } = (await home.here("task show build --json")).json();
    expect(notes.map((note: { text: string }) => note.text)).toEqual(
      texts.flatMap((text) => [text === "-" ? "piped" : text, text]),
    );
    const flaglike = await home.here(["task", "note", "build", "-fixed", "--json"]);
    expect([flaglike.code, JSON.stringify(flaglike.fault().nextSteps)]).toEqual([2, expect.stringContaining(" -- ")]);
    expect((await home.here(["task", "note", "build", "--", "-fixed"])).code).toBe(0);
  });

  it("show what could hide or turn their direction, in people's text and in JSON", async () => {
    await planned();
    const title = "pay \u202etxt.exe\u202c \u200b\u2066\ufeff\u{e0041}\u00ad me\u2028 👩‍👩‍👧 می‌خواهم ❤️";
    await all("task add hidden --title x");
    await home.here(["task", "update", "hidden", "--title", title]);
    await home.here(["task", "note", "hidden", title]);
    await home.here(["log", "write", title]);
    const lines = ["task list", "task show hidden", "task notes hidden", "log", "state"];
    for (const line of [...lines, "sql 'select title from tasks'"]) {
      for (const flags of ["", " --json"]) {
        const { stdout } = await home.here(line + flags);
        expect([line, /[\u202a-\u202e\u2066-\u2069\u200b\ufeff\u00ad\u2028\u{e0000}-\u{e007f}]/u.test(stdout)]).toEqual(
          [line, false],
        );
        expect(stdout).toContain("👩‍👩‍👧 می‌خواهم ❤️");
      }
    }
    expect((await home.here("task show hidden --json")).json().task.title).toBe(title);
    const unknown = await home.here(["task", "show", "b\u202euild"]);
    expect([unknown.code, unknown.stderr]).toEqual([3, expect.not.stringContaining("\u202e")]);
  });

  it("begin a new line at \\n, which --raw keeps; files and standard input are as they are", async () => {
    await planned();
    writeFileSync(join(home.project, "raw.txt"), "a\\nb");
    for (const words of [["a\\nb"], ["a\\nb", "--raw"], ["a\\\\nb"], ["-"], ["--file", "raw.txt"]]) {
      expect((await home.here(["task", "note", "docs", ...words], { input: "a\\nb" })).code).toBe(0);
    }
    await home.here(["task", "close", "docs", "--evidence", "c\\nd"]);
    await home.here(["task", "update", "docs", "--description", "e\\nf", "--title", "g\\nh"]);
    const { task, notes } = (await home.here("task show docs --json")).json();
    expect(notes.map((note: { text: string }) => note.text)).toEqual([
      "a\nb",
      "a\\nb",
      "a\\\\nb",
      "a\\nb",
      "a\\nb",
      "c\nd",
    ]);
    expect(task).toMatchObject({ description: "e\nf", title: "g\\nh" });
  });

  it("are edited in the person's editor", async () => {
    await planned();
    const editor = join(home.folder, "my editor");
    writeFileSync(editor, `#!/bin/sh\nprintf 'A new title\\n\\nWith\\nwords\\n' > "$1"\n`);
    chmodSync(editor, 0o755);
    const { task, changedFields } = (
      await home.here("task edit build --json", { env: { EDITOR: `"${editor}"` } })
    ).json();
    expect(task).toMatchObject({ title: "A new title", description: "With\nwords" });
    expect(changedFields.sort()).toEqual(["description", "title"]);
    expect((await home.here("task edit build", { env: { VISUAL: "true", EDITOR: "false" } })).stdout).toContain(
      "Nothing changed",
    );
    const failed = await home.here("task edit build --json", { env: { EDITOR: "false" } });
    expect([failed.code, failed.fault().code]).toEqual([5, "editor.failed"]);
  });

  it("from an editor change only what was changed there, and are kept where they are refused", async () => {
    await planned();
    await all("task update build --description Old");
    const editing = (script: string) => {
      const editor = join(home.folder, "editor");
      writeFileSync(editor, `#!/bin/sh\necho "$1" > "$HOME/edited"\n${script}\n`, { mode: 0o755 });
      return home.here("task edit build --json", { env: { EDITOR: editor } });
    };
    const meanwhile = (fields: string) => `"${process.execPath}" "${PROGRAM}" task update build -w demo ${fields} >&2`;
    const edited = () => existsSync(readFileSync(join(home.folder, "edited"), "utf8").trim());
    const task = async () => (await home.here("task show build --json")).json().task;

    const both = await editing(`${meanwhile("--title Theirs")}; printf 'Build it\\n\\nMine\\n' > "$1"`);
    expect([both.code, both.json().changedFields]).toEqual([0, ["description"]]);
    expect(await task()).toMatchObject({ title: "Theirs", description: "Mine" });
    expect(edited()).toBe(false);

    const { updatedAt } = await task();
    expect((await editing(`printf '\\n' >> "$1"`)).json().changedFields).toEqual([]);
    expect((await task()).updatedAt).toBe(updatedAt);
    expect(edited()).toBe(false);

    const clash = await editing(`${meanwhile("--description Later")}; printf 'Theirs\\n\\nMore\\n' > "$1"`);
    const empty = await editing(`printf '\\n\\nTyped for an hour\\n' > "$1"`);
    const gaveUp = await editing(`printf 'Half\\n' > "$1"; exit 1`);
    for (const [ran, code, said, text] of [
      [clash, "task.changed_meanwhile", 'The description of build was changed meanwhile, to "Later".', "More"],
      [empty, "task.invalid_field", "title must be", "Typed for an hour"],
      [gaveUp, "editor.failed", "did not end well", "Half"],
    ] as const) {
      const { code: found, message, file } = ran.fault();
      expect([found, message]).toEqual([code, expect.stringContaining(said)]);
      expect(message).toContain(`Your text is in ${file}.`);
      expect(readFileSync(String(file), "utf8")).toContain(text);
      rmSync(dirname(String(file)), { recursive: true });
    }
    expect(await task()).toMatchObject({ title: "Theirs", description: "Later" });
  });
});

describe("a date", () => {
  it.each([
    ["America/New_York", "2026-12-25T05:00:00.000Z", "2026-12-24 19:00:00"],
    ["Asia/Tokyo", "2026-12-24T15:00:00.000Z", "2026-12-25 09:00:00"],
    ["UTC", "2026-12-25T00:00:00.000Z", "2026-12-25 00:00:00"],
  ])("in %s is the local day, is shown in local time, and is UTC in JSON", async (TZ, midnight, utcMidnight) => {
    const env = { TZ };
    for (const line of [
      "workstream init demo",
      "task add gift --title Wrap --not-before 2026-12-25",
      "task add utc --title Wrap --not-before 2026-12-25T00:00:00Z",
    ]) {
      expect([line, (await home.mu(line, { env })).code]).toEqual([line, 0]);
    }
    expect((await home.mu("task show gift --json", { env })).json().task.notBefore).toBe(midnight);
    const refused = await home.mu("task claim gift --json", { env });
    expect(refused.fault()).toMatchObject({
      notBefore: midnight,
      message: expect.stringContaining("2026-12-25 00:00:00"),
    });
    const { stdout } = await home.mu("task show utc", { env });
    expect(stdout).toContain(utcMidnight);
    expect(stdout).not.toMatch(/\dT\d\d:/);
  });

  it.each(["2026-02-30", "2025-02-29", "2026-13-01", "2026-00-10", "2026-04-31T12:00Z", "2026-1-1", "soon", "12", ""])(
    "%s does not exist",
    async (date) => {
      await planned();
      const refused = await home.here(["task", "add", "x", "--title", "X", "--not-before", date, "--json"]);
      expect([refused.code, refused.fault().message]).toEqual([2, expect.stringContaining("a date that exists")]);
      expect((await home.here(["task", "notes", "build", "--since", date])).code).toBe(2);
    },
  );

  it.each([
    ["2024-02-29T12:00:00.5+02:00", "2024-02-29T10:00:00.500Z"],
    ["2026-01-31 12:00Z", "2026-01-31T12:00:00.000Z"],
  ])("may have a time and a zone: %s", async (date, moment) => {
    await planned();
    const added = await home.here(["task", "add", "x", "--title", "X", "--not-before", date, "--json"]);
    expect(added.json().task.notBefore).toBe(moment);
  });
});

describe("task list", () => {
  it("filters, sorts, cuts and picks fields, as JSON and as a table", async () => {
    await planned();
    await all("task claim docs", "task close docs --evidence done", "task update build --role dev --kind bug");
    const names = async (flags: string) =>
      (await home.here(`task list ${flags} --json`)).json().items.map((task: { name: string }) => task.name);
    expect(await names("")).toEqual(["build", "deploy", "docs"]);
    expect(await names("--status OPEN,IN_PROGRESS")).toEqual(["build", "deploy"]);
    expect(await names("--status OPEN --status CLOSED")).toEqual(["build", "deploy", "docs"]);
    expect(await names("--tag core")).toEqual(["docs"]);
    expect(await names("--tag core,text --mine")).toEqual(["docs"]);
    expect(await names("--role dev --kind bug")).toEqual(["build"]);
    expect(await names("--owner ann,bob")).toEqual(["docs"]);
    expect(await names("--sort roi -n 1")).toEqual(["build"]);
    expect((await home.here("task list --fields name,owner,tags --json")).json().items[2]).toEqual({
      name: "docs",
      owner: "ann",
      tags: ["text", "core"],
    });
    expect((await home.here("task list --fields name,owner")).stdout).toMatch(/^name +owner\nbuild +—\n/);
    expect((await home.here("task list --fields nmae --json")).fault().code).toBe("usage.unknown_field");
  });

  it("finds text in any letters", async () => {
    await all("workstream init demo", "task add 'ÉTUDE über Maße' -w demo", "task add 'Plain 100%_\\ text'");
    const found = async (text: string) => (await home.here(["task", "search", text, "--json"])).json().count;
    expect(await found("ÉTUDE")).toBe(1);
    expect(await found("maße")).toBe(1);
    expect(await found("PLAIN")).toBe(1);
    expect(await found("100%_\\")).toBe(1);
    expect(await found("1%0")).toBe(0);
    for (const text of ["étude", "ÜBER", "e\u0301tude", "MASSE"]) {
      expect([text, await found(text)]).toEqual([text, 1]);
    }
  });

  it("says of how many it shows the first", async () => {
    const tasks = Array.from({ length: 120 }, (_, n) => ({ name: `pay_${n}`, title: "überprüfen" }));
    await home.here("task apply - --init -w demo", { input: JSON.stringify({ tasks }) });
    expect((await home.here("task search ÜBER --json")).json()).toMatchObject({ count: 50, total: 120 });
    expect((await home.here("task search ÜBER")).stdout).toMatch(/\n50 of 120\n$/);
    expect((await home.here("task list -n 7")).stdout).toMatch(/\n7 of 120\n$/);
    expect((await home.here("task list -n 7 --json")).json()).toMatchObject({ count: 7, total: 120 });
    expect((await home.here("task search ÜBER -n 0")).stdout).not.toContain(" of ");
    await all("task note pay_1 a", "task note pay_1 b");
    const { items, total } = (await home.here("task history pay_1 -n 1 --json")).json();
    expect([items.map((item: { text: string }) => item.text), total]).toEqual([["noted on pay_1: b"], 3]);
  });
});

describe("task apply", () => {
  it("takes YAML and JSON, starts the workstream with --init, and changes nothing the second time", async () => {
    const plan = {
      tasks: [
        { name: "a", title: "A", blockedBy: ["b"] },
        { name: "b", title: "B", notes: ["First"] },
      ],
    };
    writeFileSync(join(home.project, "plan.yaml"), "tasks:\n  - title: C one\n    blockedBy: [a]\n");
    expect((await home.here("task apply plan.yaml -w demo --json")).fault()).toMatchObject({
      code: "workstream.not_found",
      exitCode: 3,
    });
    const first = await home.here("task apply - --init -w demo --json", { input: JSON.stringify(plan) });
    expect(first.json()).toMatchObject({ created: 2, edgesAdded: 1, notesAdded: 1 });
    expect((await home.here("task apply plan.yaml --json")).json()).toMatchObject({ created: 1, edgesAdded: 1 });
    expect((await home.here("task apply plan.yaml --json")).json()).toMatchObject({
      created: 0,
      unchanged: 1,
      edgesAdded: 0,
    });
    expect((await home.here("task show c_one --json")).json().blockers).toMatchObject([{ name: "a" }]);
  });

  it("names the place of a mistake, and changes nothing", async () => {
    await planned();
    const refused = async (input: string) => {
      const ran = await home.here("task apply - --json", { input });
      expect((await home.here("task list --json")).json().count).toBe(3);
      const { code, message, exitCode } = ran.fault();
      return `${exitCode} ${code} ${message}`;
    };
    const json = JSON.stringify({ tasks: [{ title: "A" }, { title: "B", blockedBy: ["build", "nothing"] }] });
    expect(await refused(json)).toMatch(/^3 .*tasks\[1\]\.blockedBy\[1\]/);
    expect(await refused("tasks:\n  - title: A\n  - title: B\n    blockedBy:\n      - nothing\n")).toMatch(
      /^3 .*line 5/,
    );
    expect(await refused("tasks:\n  - { name: x, title: A }\n  - { name: x, title: B }\n")).toMatch(/line 3/);
    expect(await refused('{"tasks": [{"title": "A", "impact": 500}]}')).toMatch(/^2 .*tasks\[0\]\.impact/);
    expect(await refused("tasks:\n  - title: A\n    colour: red\n")).toMatch(/^2 .*line 3/);
    expect(await refused("tasks:\n\t- title: A\n")).toMatch(/^2 .*line 2/);
    expect(
      await refused(
        "tasks:\n  - { name: x, title: A, blockedBy: [deploy] }\n  - { name: build, title: B, blockedBy: [x] }\n",
      ),
    ).toMatch(/^4 task\.cycle/);
  });
});

describe("mu sql", () => {
  it("has the workstream's name in its views", async () => {
    await planned();
    for (const [view, names] of Object.entries({ ready: 2, blocked: 1, goals: 2 })) {
      const rows = (await home.here(["sql", `select name from ${view} where workstream = 'demo'`, "--json"])).json();
      expect([view, rows.length]).toEqual([view, names]);
    }
  });

  it("gives a bare array, and tells what is wrong with the SQL without a stack", async () => {
    await planned();
    const rows = await home.here("sql 'select name, impact from tasks order by name' --json");
    expect(rows.json()).toEqual([
      { name: "build", impact: 80 },
      { name: "deploy", impact: 50 },
      { name: "docs", impact: 50 },
    ]);
    for (const [query, said] of [
      ["selec 1", /syntax error/],
      ["select * from nowhere", /no such table/],
      ["delete from tasks", /--write/],
    ] as const) {
      const wrong = await home.here(["sql", query, "--json"]);
      expect([query, wrong.code, wrong.stdout]).toEqual([query, 2, ""]);
      expect(wrong.stderr).toMatch(said);
      expect((await home.here(["sql", query])).stderr).not.toMatch(/^\s+at /m);
    }
  });

  it("writes what was confirmed, and that can be undone", async () => {
    await planned();
    const update = "update tasks set impact = 1 where name <> 'docs'";
    const refused = await home.here(["sql", "--write", update, "--confirm-rows", "1", "--json"]);
    expect([refused.code, refused.fault().code]).toEqual([2, "sql.rows_mismatch"]);
    expect((await home.here(["sql", "--write", update, "--confirm-rows", "2", "--json"])).json().changes).toBe(2);
    await all("undo --yes", "audit verify --tables");
    expect((await home.here("sql 'select sum(impact) as sum from tasks' --json")).json()).toEqual([{ sum: 180 }]);
  });
});

describe("going back", () => {
  it("undo shows, does, and is undone", async () => {
    await planned();
    await all("task close build --evidence yes");
    const [newest] = (await home.here("undo --json")).json().groups;
    expect(newest.ops).toEqual(["task.close"]);
    const { target, undone } = (await home.here(`undo ${newest.group} --json`)).json();
    expect(undone).toBe(false);
    expect(target.inverse.length).toBeGreaterThan(0);
    const status = async () => (await home.here("task show build --json")).json().task.status;
    expect(await status()).toBe("CLOSED");
    const { undoGroup } = (await home.here("undo --yes --json")).json();
    expect(await status()).toBe("OPEN");
    await all(`undo ${undoGroup} --yes`);
    expect(await status()).toBe("CLOSED");
    await all("audit verify --tables");
  });

  it("a workstream goes only with --yes, and its story stays", async () => {
    await planned();
    const dry = (await home.here("workstream destroy demo --json")).json();
    expect(dry).toMatchObject({ destroyed: false, dryRun: true, tasks: 3, edges: 1 });
    expect(dry.nextSteps[0].command).toBe("mu workstream destroy demo --yes");
    expect((await home.here("task list --json")).json().count).toBe(3);
    const unnamed = (await home.here("workstream destroy --yes --json")).fault();
    expect(unnamed).toMatchObject({ code: "usage.missing_argument", exitCode: 2 });
    expect((await home.here("workstream destroy demo")).stdout).toContain("mu undo brings back the rest");
    const log = (await home.here("log -w demo --json")).json();
    const gone = (await home.here("workstream destroy demo --yes --json")).json();
    expect(gone).toMatchObject({ destroyed: true, tasks: 3 });
    const told = (await home.here("log -w demo --json")).json();
    expect(told.items.slice(0, log.count)).toEqual(log.items);
    expect((await home.here("salvage list -w demo")).code).toBe(0);
    expect((await home.here("state -w demo --json")).fault()).toMatchObject({
      code: "workstream.not_found",
      nextSteps: [{ command: "mu undo -w demo" }, {}, {}],
    });
    expect((await home.here("log -w dmeo --json")).fault()).toMatchObject({ code: "workstream.not_found" });
    const back = gone.nextSteps[0].command.replace(/^mu /, "");
    await all(back, "audit verify --tables");
    expect((await home.here("task list --json")).json().count).toBe(3);
    await all("workstream destroy demo --yes");
    expect((await home.here("workstream list --json")).json().count).toBe(0);
    expect((await home.here("log --all --json")).json().count).toBeGreaterThan(4);
    await all("audit verify --tables", "workstream init demo", "audit verify --tables");
  });
});

describe("task wait", () => {
  it("tells by its exit code what became of the tasks", async () => {
    await planned();
    const wait = async (flags: string) => {
      const ran = await home.here(`task wait ${flags} --json`);
      return [ran.code, ran.json().outcome];
    };
    expect(await wait("build --timeout 1ms")).toEqual([5, "timeout"]);
    await all("task claim build");
    expect(await wait("build --stuck-after 1ms --on-stall exit --timeout 60s")).toEqual([7, "stalled"]);

    const waiting = outcome(home.start("task wait build docs --any --timeout 60s --json"));
    await all("task close build --evidence ok");
    const { code, json } = await waiting;
    expect([code, json().outcome, json().firing.name]).toEqual([0, "reached", "build"]);
    expect(await wait("build --timeout 1ms")).toEqual([0, "reached"]);

    await all("task add late", "task defer late");
    expect(await wait("late --timeout 60s")).toEqual([8, "deferred"]);
    await all("task reject late");
    expect(await wait("late build docs --timeout 60s")).toEqual([8, "rejected"]);
    expect(await wait("late --status REJECTED")).toEqual([0, "reached"]);
  });

  it("warns of a stuck task while it waits", async () => {
    await planned();
    await all("task claim build");
    const { code, stderr } = await home.here("task wait build --stuck-after 1ms --timeout 50ms");
    expect([code, stderr]).toEqual([5, "demo/build is stuck: nothing happens to it.\n"]);
  });
});

describe("a dead end", () => {
  it("is named where a task gets a blocker that nobody will do, and a close says what still blocks", async () => {
    await planned();
    await all("task add rejected", "task reject rejected", "task add deferred", "task defer deferred");
    const warned = async (line: string, input = "") => {
      const { warnings } = (await home.here(`${line} --json`, { input })).json();
      return warnings.map(({ code, message }: { code: string; message: string }) => `${code}: ${message}`);
    };
    const end = (task: string, by: string, status: string) =>
      `dead_end: ${task} waits for ${by}, which is ${status}: nobody will do it.`;
    expect(await warned("task add a --blocked-by rejected,build")).toEqual([end("a", "rejected", "REJECTED")]);
    expect(await warned("task block docs --by deferred")).toEqual([end("docs", "deferred", "DEFERRED")]);
    expect(await warned("task reparent docs --blocked-by rejected")).toEqual([end("docs", "rejected", "REJECTED")]);
    const plan = JSON.stringify({ tasks: [{ name: "b", title: "B", blockedBy: ["deferred"] }] });
    expect(await warned("task apply -", plan)).toEqual([end("b", "deferred", "DEFERRED")]);
    expect(await warned("task add fine --blocked-by build")).toEqual([]);
    expect((await home.here("task add c --blocked-by rejected")).stdout).toContain("  ! c waits for rejected, which");
    expect(await warned("task close fine --evidence ok")).toEqual(["blocked: fine still waits for build."]);
    expect(await warned("task close build --evidence ok")).toEqual([]);
  });

  it("goes when its blocker is deleted, which names whom that frees", async () => {
    await planned();
    await all(
      "task add both --blocked-by build,docs",
      "task add only --blocked-by build",
      "task add held --blocked-by build",
    );
    await all("task defer held");
    const dry = (await home.here("task delete build --json")).json();
    expect(dry).toMatchObject({ deleted: false, edges: 4, frees: ["deploy", "only"] });
    const { stdout } = await home.here("task delete build --yes");
    expect(stdout).toMatch(/^Deleted build with 4 edges and 0 notes; nothing else blocks deploy, only\.\n/);
    expect((await home.here("task delete docs --json")).json().frees).toEqual(["both"]);
    await all("task close docs --evidence ok");
    expect((await home.here("task delete docs --json")).json().frees).toEqual([]);
  });
});

describe("mu schema", () => {
  it("prints what every verb takes and gives", async () => {
    const { input, output } = (await home.here("schema task claim --json")).json();
    expect(Object.keys(input.properties)).toContain("lease");
    expect(output.properties.task).toMatchObject({ type: "object" });
    for (const verb of VERBS) expect((await runHere(["schema", verb.name, "--json"])).code).toBe(0);
    expect((await home.here("schema task conquer --json")).fault()).toMatchObject({ exitCode: 3 });
  });
});

describe("odd values", () => {
  it("are told as what they are", async () => {
    await planned();
    const fault = async (argv: string[], env: Record<string, string> = {}) => {
      const { code, fault } = await home.here([...argv, "--json"], { env });
      return [code, fault().code];
    };
    writeFileSync(join(home.project, "plan.yaml"), "");
    expect(await fault(["undo", "x".repeat(100_000)])).toEqual([3, "undo.no_such_group"]);
    expect(await fault(["task", "search", "x".repeat(100_000)])).toEqual([2, "usage.invalid_input"]);
    expect(await fault(["skill", "install"], { HOME: "/dev/null" })).toEqual([5, "file.not_writable"]);
    expect(await fault(["hooks", "install", "--cli", "pi", "--project", "plan.yaml"])).toEqual([
      5,
      "hooks.not_writable",
    ]);
    const block = (await home.here(["task", "block", "docs", "--by", "demo/build", "-w", " x", "--json"])).fault();
    expect(block.nextSteps[0]?.command).toBe("mu task move build --to ' x' -w demo");
  });
});

it("counts one thing as one", async () => {
  const added = await all("workstream init demo", "task add build --title build --effort-days 1");
  expect(added.stdout).toContain("effort 1 day)");
  expect((await home.here("task show build")).stdout).toContain("effort 1 day,");
  await all("task add docs --title docs --effort-days 0.5 --blocked-by build", "task note docs hello");
  expect((await home.here("task show docs")).stdout).toContain("effort 0.5 days,");
  expect((await home.here("workstream show demo")).stdout).toContain("1 edge, 1 note\n");
  expect((await home.here("task delete docs")).stdout).toContain("with 1 edge and 1 note");
  expect((await home.here("workstream destroy demo")).stdout).toContain("2 tasks, 1 edge, 1 note, 0 agents");
  await all("workstream init shop", "task add one --title one -w shop");
  expect((await home.here("workstream destroy shop")).stdout).toContain("1 task, 0 edges, 0 notes, ");
});
