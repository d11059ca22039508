import { expect, it } from "vitest";
import { printableValue } from "../../src/cli/printable.js";
import { reportError } from "../../src/cli/show.js";
import { Fault } from "../../src/errors.js";

function outputOf(endsWith?: number) {
  const said: string[] = [];
  return { said, output: { out: () => {}, err: (text: string) => said.push(text), colour: false, endsWith } };
}

it("gives the exit code of the signal that ended it, in the JSON error too", () => {
  const fault = new Fault("unavailable", "task.wait_timed_out", "Interrupted.");
  const { said, output } = outputOf(130);
  expect(reportError(fault, { json: true }, output)).toBe(130);
  expect(JSON.parse(said.join(""))).toMatchObject({ code: "task.wait_timed_out", exitCode: 130 });
});

it("gives the fault's own exit code where no signal came", () => {
  const { said, output } = outputOf();
  expect(reportError(new Fault("missing", "task.not_found", "No."), { json: true }, output)).toBe(3);
  expect(JSON.parse(said.join(""))).toMatchObject({ exitCode: 3 });
});

it("prints no escape sequence that is the name of a field, at any depth", () => {
  const value = { "\u001b[31mred": [{ "a\u0007b": "\u001b]0;t\u0007" }] };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  expect(JSON.stringify(printableValue(value))).not.toMatch(/\\u00|[\u0000-\u001f]/);
  expect(Object.keys(printableValue({ name: 1 }) as object)).toEqual(["name"]);
});
