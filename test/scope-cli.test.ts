import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Home, newHome } from "./support/cli.js";

let home: Home;
beforeEach(async () => {
  home = newHome();
  for (const workstream of ["wa", "wb"]) {
    mkdirSync(join(home.folder, workstream));
    await home.here(`workstream init ${workstream} --root ${home.folder}/${workstream}`);
    await home.here(`task add same --title 'Same' -w ${workstream}`);
    await home.here(`task claim same -w ${workstream}`);
    await home.here(`workspace create ann -w ${workstream}`);
  }
});
afterEach(() => home.end());

it("says of each row of --all which workstream it is of", async () => {
  const lines = [
    "task list --all",
    "task search same --all",
    "task owned-by ann --all",
    "me tasks",
    "me",
    "workspace list --all",
  ];
  for (const line of lines) {
    const { stdout, stderr } = await home.here(line);
    expect([line, stderr, stdout.match(/^workstream /m)?.[0]]).toEqual([line, "", "workstream "]);
    for (const workstream of ["wa", "wb"]) expect(stdout).toMatch(new RegExp(`^${workstream} `, "m"));
  }
  expect((await home.here("task list -w wa")).stdout).not.toMatch(/^workstream /m);
});

it("refuses -w where nothing is about a workstream, and takes it where something is", async () => {
  for (const line of ["sql 'select 1' -w wa", "-w wa backup verify", "workstream list -w wa"]) {
    expect([line, (await home.here(line)).code]).toEqual([line, 2]);
  }
  for (const verb of ["recover", "reconcile", "undo", "me", "me tasks", "log", "state"]) {
    const { code, stderr } = await home.here(`${verb} -w wz`);
    expect([verb, code, stderr.includes("Did you mean wa or wb?")]).toEqual([verb, 3, true]);
  }
  expect((await home.here("me tasks -w wa --json")).json().count).toBe(1);
});
