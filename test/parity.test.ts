import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { VERBS } from "../src/operations/manifest.js";
import { wordsOf } from "../src/operations/verb.js";

/** Every command of mu 0.3.1 but the namespaces. */
const PREDECESSOR: Readonly<Record<string, string>> = {
  workstream: "init list destroy export import",
  task: "add list next show tree notes note update block unblock reparent claim release close open reject defer delete owned-by wait",
  agent: "spawn list show read send attach free close",
  workspace: "create list path commits refresh free orphans",
  archive: "create add list show search export remove delete",
  snapshot: "list show delete prune",
  me: "tasks next",
  "": "adopt me log state sql undo doctor",
};

const table = readFileSync(join(import.meta.dirname, "../docs/parity.md"), "utf8")
  .split("\n")
  .filter((line) => line.startsWith("| ") && !line.startsWith("| ---") && !line.startsWith("| 0.3.1"))
  .map((line) => line.split(" | ").map((cell) => cell.replace(/^\| | \|$/g, "")));

const codesOf = (cell = "") => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? "");
/** `snapshot list`, `show`: the second has the noun of the first. */
const namedOf = (cell = "") => {
  const codes = codesOf(cell).map((code) => code.split(/ [-<[]/)[0] ?? "");
  const noun = codes[0]?.split(" ")[0] ?? "";
  return codes.flatMap((code) => [code, `${noun} ${code}`]);
};

describe("the table of the predecessor's verbs", () => {
  const named = new Set(table.flatMap(([before]) => namedOf(before)));

  it.each(
    Object.entries(PREDECESSOR).flatMap(([noun, verbs]) => verbs.split(" ").map((verb) => `${noun} ${verb}`.trim())),
  )("has %s", (verb) => {
    expect(named).toContain(verb);
  });

  it("names a verb that exists in every row but the general ones", () => {
    const known = VERBS.map(({ name }) => wordsOf(name).join(" "));
    const commands = table.flatMap(([, here]) => codesOf(here)).filter((code) => code.startsWith("mu "));
    const unknown = commands.filter((code) => !known.some((verb) => `${code} `.startsWith(`mu ${verb} `)));
    expect(commands.length).toBeGreaterThan(60);
    expect(unknown).toEqual([]);
  });
});
