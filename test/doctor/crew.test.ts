import { chmodSync, copyFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { canary } from "../../src/doctor/canary.js";
import { runProbes } from "../../src/doctor/finding.js";
import { getTask } from "../../src/tasks/task.js";
import { examine, mend, patientOf } from "../support/patient.js";
import { openStage, PLAYER, type Stage } from "../support/stage.js";
import { describeTmux, eventually } from "../support/tmux.js";

describeTmux("the doctor, of a crew", () => {
  let stage: Stage;
  beforeEach(async () => {
    stage = await openStage();
  });
  afterEach(() => stage.end());

  const crew = () => stage.crew;
  const raw = (...args: string[]) => stage.server.raw(...args);

  it("finds nothing wrong while all are in their panes", async () => {
    await stage.enter("ada");
    expect(await examine(crew(), "crew")).toEqual([]);
  });

  it("finds a ghost, and closes it as any read would", async () => {
    const [ada] = [await stage.enter("ada"), await stage.enter("bob")];
    await stage.work("build", ada);
    await raw("kill-pane", "-t", ada.pane ?? "");
    const found = await examine(crew(), "crew");
    expect(found).toMatchObject([
      { severity: "warning", subject: "demo/ada", detail: `pane ${ada.pane} is gone.`, command: "mu reconcile" },
    ]);
    expect(await mend(crew(), found)).toEqual(["Reconciled: closed demo/ada."]);
    expect(await examine(crew(), "crew")).toEqual([]);
    expect(await getTask(crew().context.store.db, { workstream: "demo", name: "build" })).toMatchObject({
      status: "OPEN",
    });
  });

  it("offers to call back a crew that went with its server, which is no fault any more once it is closed", async () => {
    await stage.enter("ada");
    await raw("kill-server");
    await mend(crew(), await examine(crew(), "crew"));
    expect(await examine(crew(), "crew")).toMatchObject([
      { severity: "note", subject: "demo/ada", command: "mu recover --yes" },
    ]);
  });

  it("finds a pane in which an agent CLI runs that is nobody's, and a CLI that has left a shell behind", async () => {
    await stage.enter("ada", { cli: "claude", argv: ["sh"] });
    const codex = join(stage.server.dir, "codex");
    copyFileSync("/bin/sleep", codex);
    chmodSync(codex, 0o755);
    await raw("new-window", "-t", "=mu-demo:", "-n", "stray", codex, "1000");
    const pane = (await raw("list-panes", "-t", "=mu-demo:stray", "-F", "#{pane_id}")).trim();
    const found = await eventually("the stray and the dead are seen", async () => {
      const seen = await examine(crew(), "crew");
      return seen.length === 2 && seen;
    });
    expect(found).toMatchObject([
      { severity: "warning", subject: "demo/ada", command: "mu agent restart demo/ada" },
      {
        severity: "warning",
        subject: `pane ${pane}`,
        command: `mu agent adopt ${pane} --name codex-${pane.slice(1)} -w demo`,
      },
    ]);
    expect(await mend(crew(), found)).toEqual([]);
  });

  it("marks a pane again that has lost its mark, or took another agent's title", async () => {
    const [ada, bob] = [await stage.enter("ada"), await stage.enter("bob")];
    await raw("set-option", "-p", "-u", "-t", ada.pane ?? "", "@mu_agent_id");
    await raw("select-pane", "-t", bob.pane ?? "", "-T", "ada");
    const found = await examine(crew(), "crew");
    expect(found.map(({ subject, detail }) => [subject, detail])).toEqual([
      ["demo/ada", `its pane ${ada.pane} has lost its mark.`],
      ["demo/bob", `its pane ${bob.pane} has the title ada.`],
    ]);
    expect(await mend(crew(), found)).toHaveLength(2);
    expect(await examine(crew(), "crew")).toEqual([]);
  });

  it("measures the delivery to an agent, and to a shell with a line that does nothing", async () => {
    const send = async (name: string) =>
      runProbes(patientOf(crew()), [canary({ workstream: "demo", name })], () => 60_000);
    await stage.enter("pia", { cli: "player", argv: PLAYER });
    const shell = await stage.enter("ada");
    expect(await send("pia")).toMatchObject([
      {
        severity: "ok",
        subject: "demo/pia",
        detail: expect.stringMatching(/^player: ready after .* s, proved after .* s/),
      },
    ]);
    expect(await send("ada")).toMatchObject([{ severity: "ok", detail: expect.stringContaining("typed after") }]);
    expect(await stage.shows(shell)).toContain(": a test of the delivery of mu");
    await raw("kill-pane", "-t", shell.pane ?? "");
    expect(await send("ada")).toMatchObject([
      { severity: "error", detail: expect.stringContaining("Nothing was typed") },
    ]);
  });
});
