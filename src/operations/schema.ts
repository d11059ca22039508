import * as z from "zod";
import { Fault } from "../errors.js";
import { didYouMean, quote } from "../names.js";
import { defineOperation, step } from "./define.js";
import { field } from "./fields.js";

export const schema = defineOperation({
  name: "schema",
  summary: "Print the JSON schemas of a verb's input and output",
  effect: "read",
  standalone: true,
  input: () => ({ verb: field(z.array(z.string()).min(1), "Command words, or noun.verb") }),
  output: () =>
    z.strictObject({
      name: z.string(),
      effect: z.string(),
      input: z.record(z.string(), z.unknown()),
      output: z.record(z.string(), z.unknown()),
    }),
  positional: ["verb"],
  examples: [
    { command: "mu schema task claim", shows: "the input and output of a claim" },
    { command: "mu schema task conquer", shows: "an unknown verb", fault: "schema.no_such_verb" },
  ],
  async run({ program: { registry } }, { verb }) {
    const name = verb.join(".");
    const operation = await registry.find(name);
    if (operation === undefined) {
      const hint = didYouMean(
        name,
        registry.verbs.map((known) => known.name),
      );
      throw new Fault("missing", "schema.no_such_verb", `There is no verb ${quote(name)}.${hint}`, [
        step("List the commands", "mu --help"),
      ]);
    }
    if (name === "ops") {
      const { opsRequest, opsResult } = await import("./ops/contract.js");
      const [input, output] = [z.toJSONSchema(opsRequest(), { io: "input" }), z.toJSONSchema(opsResult())];
      return { name, effect: operation.effect, input, output };
    }
    return {
      name,
      effect: operation.effect,
      input: z.toJSONSchema(operation.input(), { io: "input" }),
      output: z.toJSONSchema(operation.output(), { unrepresentable: "any" }),
    };
  },
  render: (result) => JSON.stringify(result, null, 2),
});
