import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { Context } from "../../src/db/context.js";
import { connect } from "../../src/db/sqlite/connect.js";
import { storableJson, storableRow, storableText } from "../../src/db/text.js";
import { writeMessage } from "../../src/journal/log.js";
import { writeSql } from "../../src/journal/sql.js";
import { contextOn, openTestStore, temporaryFolder } from "../support/database.js";
import { patchTask, putTask } from "../support/history.js";

const python = spawnSync("python3", ["-c", "import sqlite3, json, hashlib"]);
const title =
  python.status === 0 ? "the verifier in docs/audit.md" : "the verifier in docs/audit.md (skipped: no python3)";

describe.skipIf(python.status !== 0)(title, () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let path: string;
  let context: Context;

  beforeEach(async () => {
    folder = temporaryFolder();
    path = join(folder.path, "mu.db");
    context = contextOn(await openTestStore(path));
    const doc = readFileSync(new URL("../../docs/audit.md", import.meta.url), "utf8");
    writeFileSync(join(folder.path, "verify.py"), /```python\n([\s\S]*?)```/.exec(doc)?.[1] ?? "");
  });

  afterEach(async () => {
    await context.store.close();
    folder.remove();
  });

  const verify = () => {
    const { status, stderr } = spawnSync("python3", [join(folder.path, "verify.py"), path], { encoding: "utf8" });
    return `${status} ${stderr.trim()}`.trim();
  };

  it("agrees about every text that there can be", async () => {
    const id = await putTask(context, "demo", "build");
    const texts = fc.sample(fc.string({ unit: "binary", maxLength: 300 }), 150);
    const every = Array.from({ length: 0x300 }, (_, code) => String.fromCharCode(code)).join("");
    for (const text of [...texts, every, "\ud800", "\udfff\ud83d", '😀\u2028\u007f"\\\b\f</script>']) {
      await patchTask({ ...context, actor: text }, "demo", id, { title: text, description: `${text}${text}` });
      if (text.trim() !== "") await writeMessage({ ...context, actor: `x${text}` }, "", { text });
    }
    await writeSql(context, "update tasks set title = char(0, 1, 31, 127, 8232) || title");
    expect(verify()).toBe("0");
  });

  it("detects tampering", async () => {
    await putTask(context, "demo", "build");
    await putTask(context, "demo", "test");
    expect(verify()).toBe("0");
    const other = connect(path, { timeout: 5_000 });
    other.exec("drop trigger events_no_delete; drop trigger events_no_update");
    other.exec("begin; update events set actor = 'mallory' where n = 2");
    other.exec("commit");
    expect(verify()).toBe("1 chain 'demo' is broken at event 2");
    other.exec("update events set actor = 'tester' where n = 2; delete from events where n = 3");
    expect(verify()).toBe("1 chain 'demo' does not end where its head says");
    other.exec("delete from events where n = 1");
    expect(verify()).toBe("1 chain 'demo' is broken at event 2");
    other.close();
  });

  it("is about a dozen lines", () => {
    const code = readFileSync(join(folder.path, "verify.py"), "utf8");
    expect(code.trim().split("\n").length).toBeLessThan(20);
    expect(execFileSync("python3", ["--version"], { encoding: "utf8" })).toMatch(/^Python 3/);
  });
});

describe("storable text", () => {
  it("survives UTF-8, keeps what is sound, and JSON of it agrees", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 20 }), (codes) => {
        const text = String.fromCharCode(...codes);
        const kept = storableText(text);
        expect(Buffer.from(kept, "utf8").toString("utf8")).toBe(kept);
        expect(kept).not.toContain("\0");
        expect(kept).toHaveLength(text.length);
        expect(storableText(kept)).toBe(kept);
        expect(JSON.parse(storableJson({ text, list: [text, 1, null] }))).toEqual({
          text: kept,
          list: [kept, 1, null],
        });
        expect(storableRow({ text, n: 1 })).toEqual({ text: kept, n: 1 });
      }),
    );
    expect(storableText("a😀\n\u007f")).toBe("a😀\n\u007f");
  });
});
