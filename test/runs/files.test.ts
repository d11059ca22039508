import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { keepStream, readStream } from "../../src/runs/files.js";
import { temporaryFolder } from "../support/database.js";

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

describe("the output of a run", () => {
  it("is all in its file, without secrets, while the disk has room", async () => {
    const path = join(folder.path, "1.stdout");
    const kept = keepStream(path, ["s3cr3t-of-the-shop"]);
    for (const part of ["one s3cr3t-", "of-the-shop two"]) kept.add(Buffer.from(part));
    expect(kept.close()).toBe(undefined);
    expect(await readStream(path)).toBe("one [redacted] two");
  });

  it.skipIf(!existsSync("/dev/full"))("goes on in memory on a full disk, its end only, and no secret of it", () => {
    const kept = keepStream("/dev/full", ["s3cr3t-of-the-shop"]);
    const megabyte = Buffer.alloc(1 << 20, "x");
    for (let n = 0; n < 10; n++) kept.add(megabyte);
    kept.add(Buffer.from("the key is s3cr3t-of-the-shop\n"));
    const { problem, text } = kept.close() ?? { text: "" };
    expect(problem).toBe("ENOSPC");
    expect(text.length).toBe(4 << 20);
    expect(text.endsWith("xthe key is [redacted]\n")).toBe(true);
  });
});
