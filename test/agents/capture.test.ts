import { copyFile, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readCapture } from "../../src/agents/screen/capture.js";
import { CAPTURES } from "./captures.js";

const dialog = `${CAPTURES}codex/08-needs-input-permission`;

test("a capture is read by any of its names, with a title that has brackets", async () => {
  const screen = await readCapture(`${dialog}.meta`);
  expect(screen).toMatchObject({ title: "[ . ] Action Required | Fake title | proj-codex", command: "node" });
  expect(screen).toMatchObject({ cursorX: 120, cursorY: 39, width: 120, height: 40, dead: false });
  expect(screen.ansi).toContain("\u001b[");
  expect(await readCapture(dialog)).toEqual(screen);
  expect(await readCapture(`${dialog}.txt`)).toEqual(screen);
});

test("colours may be missing, rows and facts may not", async () => {
  const name = join(await mkdtemp(join(tmpdir(), "capture-")), "x");
  await expect(readCapture(name)).rejects.toMatchObject({ kind: "missing", code: "capture.not_found" });
  await copyFile(`${dialog}.txt`, `${name}.txt`);
  await expect(readCapture(name)).rejects.toMatchObject({ kind: "missing", code: "capture.not_found" });
  await copyFile(`${dialog}.meta`, `${name}.meta`);
  expect(await readCapture(name)).not.toHaveProperty("ansi");
  await writeFile(`${name}.meta`, "cursor=somewhere\n");
  await expect(readCapture(name)).rejects.toMatchObject({ kind: "usage", code: "capture.invalid" });
});
