import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { replaceText } from "../../src/agents/hooks/settings-file.js";
import { temporaryFolder } from "../support/database.js";

it("moves a settings file into place only when all of it is on the disk", async () => {
  const folder = temporaryFolder();
  onTestFinished(folder.remove);
  const path = join(folder.path, "settings.json");
  writeFileSync(path, "before");
  const probe = await open(path);
  const prototype = Object.getPrototypeOf(probe) as FileHandle;
  await probe.close();
  const seen: { size: number; inPlace: string }[] = [];
  const { sync } = prototype;
  const spy = vi.spyOn(prototype, "sync").mockImplementation(async function (this: FileHandle) {
    seen.push({ size: (await this.stat()).size, inPlace: readFileSync(path, "utf8") });
    await sync.call(this);
  });
  onTestFinished(() => spy.mockRestore());
  await replaceText(path, "before", "after it");
  // The file, and then the folder that names it.
  expect(seen.map((one) => one.inPlace)).toEqual(["before", "after it"]);
  expect(seen[0]?.size).toBe("after it".length);
  expect(readFileSync(path, "utf8")).toBe("after it");
});

it("keeps what somebody else saves while the new text goes to the disk", async () => {
  const folder = temporaryFolder();
  onTestFinished(folder.remove);
  const path = join(folder.path, "settings.json");
  writeFileSync(path, "before");
  const probe = await open(path);
  const prototype = Object.getPrototypeOf(probe) as FileHandle;
  await probe.close();
  const spy = vi.spyOn(prototype, "sync").mockImplementation(async () => writeFileSync(path, "theirs"));
  onTestFinished(() => spy.mockRestore());
  await expect(replaceText(path, "before", "after it")).rejects.toMatchObject({ code: "hooks.settings_changed" });
  expect(readFileSync(path, "utf8")).toBe("theirs");
  expect(readdirSync(folder.path)).toEqual(["settings.json"]);
});
