import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { newProject } from "../support/project.js";
import { fewOf } from "../support/sample.js";

/** What a stream keeps: its start and its end. */
const KEPT = 2 * (4 << 20);
/** What the program of the run prints, in bytes. */
const PRINTED = fewOf(100e6, 1e9);

it("a run whose program prints without end keeps the start and the end, in a file and in memory that do not grow", async () => {
  const peak = (when: string) => `grep -s VmHWM /proc/$PPID/status > ${when}`;
  const prints = `echo first; ${peak("before")}; yes 'a line of output' | head -c ${PRINTED}; ${peak("after")}; echo; echo last`;
  const project = await newProject({ qa: { sh: prints } });
  onTestFinished(() => project.end());
  await project.json("task add chatty --title Chatty --role qa");
  expect((await project.mu("dispatch --once --json")).code).toBe(0);
  const { text } = await project.json("runs log 1");
  expect([text.startsWith("first\na line"), text.endsWith("\nlast\n")]).toEqual([true, true]);
  expect(/… \d+ bytes left out …/.exec(text)?.[0]).toBe(
    `… ${PRINTED + "first\n\nlast\n".length - KEPT} bytes left out …`,
  );
  const runs = join(project.folder, "state", "runs");
  const [own = ""] = readdirSync(runs);
  expect(statSync(join(runs, own, "1.stdout")).size).toBeLessThan(KEPT + 100);
  if (!existsSync("/proc/self/status")) return;
  const kilobytes = (when: string) => Number(/(\d+) kB/.exec(readFileSync(join(project.project, when), "utf8"))?.[1]);
  expect(kilobytes("after") - kilobytes("before")).toBeLessThan(50_000);
});
