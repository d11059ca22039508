import { expect, it } from "vitest";
import { readLine } from "../../src/cli/argv.js";
import { VERBS } from "../../src/operations/manifest.js";
import { newHome } from "../support/cli.js";

const read = (line: string) => {
  const { words, argv } = readLine(line.split(" "), VERBS);
  return [words.join(" "), ...argv.slice(words.length)].join(" | ");
};

it.each([
  ["ls", "task list"],
  ["ls --json", "task list | --json"],
  ["-w shop ls", "task list | -w | shop"],
  ["ps", "agent list"],
  ["send ada hi", "agent send | ada | hi"],
  ["attach ada", "agent attach | ada"],
  ["claim build", "task claim | build"],
  ["done build", "task close | build"],
  ["finish build", "task close | build"],
  ["add title", "task add | title"],
  ["show build", "task show | build"],
  ["next", "task next"],
  ["logs", "log"],
  ["merge", "land"],
  ["status", "state"],
  ["spawn ada", "agent spawn | ada"],
  ["whoami", "me"],
  ["rm build", "task delete | build"],
  ["wait build", "task wait | build"],
  ["restart ada", "agent restart | ada"],
  ["cost", "budget"],
  ["task done build", "task close | build"],
  ["task ls", "task list"],
  ["task rm build", "task delete | build"],
  ["task new title", "task add | title"],
  ["task start build", "task claim | build"],
  ["agent rm ada", "agent close | ada"],
  ["agent new ada", "agent spawn | ada"],
  ["agent start ada", "agent spawn | ada"],
  ["workspace rm ada", "workspace free | ada"],
  ["workstream rm shop", "workstream destroy | shop"],
  ["help ls", "task list"],
  ["kill deploy", "kill | deploy"],
  ["task kill build", "task kill | build"],
  ["agent constructor", "agent | constructor"],
  ["toString", " | toString"],
])("mu %s is mu %s", (line, meant) => expect(read(line)).toBe(meant));

it("takes no word that mu knows for another, and no first argument for a verb", () => {
  for (const { name } of VERBS) expect(readLine(name.split("."), VERBS).words.join(".")).toBe(name);
  expect(read("task show done")).toBe("task show | done");
});

it("understands a status in any case, other words for flags, and says how a text is quoted", async () => {
  const home = newHome();
  try {
    await home.mu("workstream init shop");
    const run = async (line: string) => home.mu(`${line} -w shop`);
    expect((await run("add Build --effort 3")).code).toBe(0);
    expect((await run("add Deploy --depends-on build")).code).toBe(0);
    expect((await run("ls --status open --json")).json()).toMatchObject({ count: 2 });
    const note = await run("note build hello there");
    expect(note.code).toBe(2);
    expect(note.stderr).toContain("mu task note build 'hello there'");
    expect((await run("land --dry")).stderr).toContain("Did you mean --dry-run?");
  } finally {
    home.end();
  }
});
