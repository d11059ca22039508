import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { PROGRAM } from "../support/cli.js";
import { type PrivateTmux, startPrivateTmux } from "../support/private-tmux.js";

let terminal: PrivateTmux;
beforeEach(() => {
  terminal = startPrivateTmux();
});
afterEach(() => terminal.close());

/** Opens a terminal in an empty project folder, in which `mu init` runs, and gives its pane and the folder. */
async function openWizard(): Promise<{ pane: string; project: string }> {
  const { folder } = terminal;
  const project = join(folder, "shop");
  const bin = join(folder, "bin");
  for (const made of [project, bin]) mkdirSync(made);
  writeFileSync(join(bin, "claude"), '#!/bin/sh\necho "claude got: $*"\n', { mode: 0o755 });
  const path = [bin, dirname(process.execPath), "/usr/bin", "/bin"].join(":");
  const env = { PATH: path, HOME: folder, USER: "ann", MU_STATE_DIR: join(folder, "state"), TMUX_TMPDIR: folder };
  const line = `cd '${project}'; "${process.execPath}" "${PROGRAM}" init; echo "ended with $?"; exec cat`;
  return { pane: await terminal.openPane(["sh", "-c", line], { ...env, MU_TMUX_SOCKET: "private" }), project };
}

it("asks on a real terminal, writes the answers, and hands the terminal to the agent CLI", async () => {
  const { pane, project } = await openWizard();
  await terminal.seen(pane, /Project name \(shop\)/);
  await terminal.keys(pane, "-l", "My shop");
  await terminal.keys(pane, "Enter");
  await terminal.seen(pane, /ntfy topic .* \(my_shop-[0-9a-f]{12}\)/);
  await terminal.keys(pane, "BSpace");
  await terminal.keys(pane, "Enter");
  await terminal.seen(pane, /First words of each notice \(My shop\)/);
  await terminal.keys(pane, "Enter");
  const screen = await terminal.seen(pane, /ended with 0/);
  expect(screen).toMatch(/claude got: Read ONBOARDING\.md[\s\S]*Set up my_shop/);
  expect(JSON.parse(readFileSync(join(project, ".mu", "settings.json"), "utf8"))).toMatchObject({
    projectName: "My shop",
    notifications: { ntfyTopic: "", subjectPrefix: "My shop" },
  });
});

it("writes nothing after Ctrl-C", async () => {
  const { pane, project } = await openWizard();
  await terminal.seen(pane, /Project name \(shop\)/);
  await terminal.keys(pane, "Enter");
  await terminal.seen(pane, /ntfy topic/);
  await terminal.keys(pane, "C-c");
  await terminal.seen(pane, /Interrupted\. Nothing was changed\.[\s\S]*ended with \d+/);
  expect(readdirSync(project)).toEqual([]);
});
