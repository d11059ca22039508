import { explainCapture } from "../src/agents/status/explain.js";
import { expectedOf, listCaptures } from "../test/agents/captures.js";
import type { Figure } from "./measure.js";

/** The status of every recorded screen, beside what its name says. */
export async function accuracy(): Promise<Figure[]> {
  const captures = listCaptures();
  const wrong: string[] = [];
  let explained = 0;
  for (const { cli, name, path } of captures) {
    const { status, reason, rule } = await explainCapture(path, cli);
    if (status !== expectedOf(name).status) wrong.push(`${cli}/${name} is ${status}`);
    if (reason && rule && rule !== "unrecognised") explained++;
  }
  const right = captures.length - wrong.length;
  return [
    {
      what: "status of the recorded screens of five CLIs",
      floor: "–",
      figure: [`${right} of ${captures.length} right, ${explained} explained`, ...wrong].join("; "),
      bar: "all, each explained",
      met: wrong.length === 0 && explained === captures.length,
    },
  ];
}
