import * as z from "zod";
import { Fault } from "../errors.js";
import { enumerate } from "../names.js";
import { defineOperation } from "./define.js";
import { field, flag, workstreamField } from "./fields.js";
import { UI_GROUPS } from "./verb.js";

export const ui = defineOperation({
  name: "ui",
  aliases: ["studio"],
  summary: "Watch and steer the crew in a browser",
  description:
    "Serves a page on this machine alone until Ctrl-C, and prints its address, which has a token in it: whoever has it may do what you may do. Several can run side by side, each on the next free port from 5050 on. To open it on a phone, lead a tunnel there, such as tailscale serve or ssh -R, and name its address in the setting ui.publicUrl. Every button is a command of mu's, which the page shows.",
  effect: "read",
  reconcile: "by itself",
  needs: ["terminal"],
  endsLate: true,
  input: () => ({
    workstream: workstreamField("any"),
    port: field(
      z.number().int().min(1).max(65_535).optional(),
      "This port and no other; 8420 was that of mixer's Studio",
    ),
    noBrowser: flag("Only print the address"),
    readOnly: flag("Show everything, and do nothing"),
    allow: field(z.array(z.enum(UI_GROUPS)).optional(), "Allow only these actions", { value: "what", commas: true }),
  }),
  output: { address: "string" },
  validate: ({ readOnly, allow }) => {
    if (!readOnly || allow === undefined) return;
    throw new Fault(
      "usage",
      "usage.conflicting_options",
      `--read-only allows nothing, and --allow ${enumerate(allow)}. Leave one out.`,
    );
  },
  examples: [
    { command: "mu ui", shows: "opens the page in the browser" },
    { command: "mu ui --no-browser --port 8420 --read-only", shows: "prints an address at which one can only look" },
    { command: "mu ui --allow answer,land", shows: "a page that answers agents and lands work, and does nothing else" },
    { command: "mu ui --port 0", shows: "no port", fault: "usage.invalid_input" },
  ],
  async run(app, { workstream, port, noBrowser, readOnly, allow }) {
    const { request, program } = app;
    const scoped = { ...app, request: { ...request, env: { ...request.env, MU_WORKSTREAM: workstream } } };
    let address = "";
    const allowed = readOnly ? [] : (allow ?? UI_GROUPS);
    await program.serveUi(scoped, { port, browser: !noBrowser, allowed }, (told) => {
      address = told;
      request.remark(`The page is at ${told}\nCtrl-C ends it.`);
    });
    return { address };
  },
  render: () => "",
});
