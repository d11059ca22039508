import { getBackend } from "../../vcs/backends.js";
import { getSalvage, LISTED_SALVAGE } from "../../workspaces/salvage.js";
import { workstreamField } from "../fields.js";
import { defineOperation, NEXT_STEPS, step } from "../operation.js";
import { salvageField } from "./fields.js";

export const salvageShow = defineOperation({
  name: "salvage.show",
  summary: "Show the contents of a save",
  effect: "read",
  input: () => ({ salvage: salvageField(), workstream: workstreamField("any") }),
  output: { salvage: LISTED_SALVAGE, text: "string", nextSteps: NEXT_STEPS },
  positional: ["salvage"],
  examples: [
    { command: "mu salvage show helper/1", shows: "its commits and files" },
    { command: "mu salvage show helper/99", shows: "no such save", fault: "salvage.not_found" },
  ],
  async run(app, { salvage: name, workstream }) {
    const crew = await app.crew();
    const salvage = await getSalvage(crew, name, workstream);
    const nextSteps = [step("Restore it", `mu salvage restore ${salvage.name}`)];
    const text = await getBackend(salvage.backend).describe(crew, salvage.root, salvage.place);
    return { salvage, text, nextSteps };
  },
  render: ({ salvage, text }, paint) =>
    `${paint.bold(salvage.name)} of ${salvage.root}\n${paint.dim(`kept as ${salvage.place}`)}\n${text.trimEnd()}`,
});
