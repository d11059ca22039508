import * as z from "zod";
import { describeSalvage, getSalvage } from "../../workspaces/salvage.js";
import { workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { findWorkstream } from "../resolve.js";
import { nextStepsShape } from "../shapes.js";
import { salvageShape } from "../workspace/saved.js";
import { salvageField } from "./fields.js";

export const salvageShow = defineOperation({
  name: "salvage.show",
  summary: "Show what a save holds",
  effect: "read",
  input: () => z.strictObject({ salvage: salvageField(), workstream: workstreamField() }),
  output: () => z.strictObject({ salvage: salvageShape(), text: z.string(), nextSteps: nextStepsShape() }),
  positional: ["salvage"],
  examples: [
    { command: "mu salvage show helper/1", shows: "its commits and files" },
    { command: "mu salvage show helper/99", shows: "a save that is none", fault: "salvage.not_found" },
  ],
  async run(app, { salvage: name, workstream }) {
    const crew = await app.crew();
    const salvage = await getSalvage(crew, name, await findWorkstream(app, workstream));
    const nextSteps = [{ intent: "Bring it back", command: `mu salvage restore ${salvage.name}` }];
    return { salvage, text: await describeSalvage(crew, salvage), nextSteps };
  },
  render: ({ salvage, text }, paint) =>
    `${paint.bold(salvage.name)} of ${salvage.root}\n${paint.dim(`kept as ${salvage.place}`)}\n${text.trimEnd()}`,
});
