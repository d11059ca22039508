import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, it, onTestFinished } from "vitest";
import { connect } from "../../../src/db/sqlite/connect.js";
import type { Connection } from "../../../src/db/sqlite/connection.js";
import { fileAt } from "../../../src/db/sqlite/gate.js";
import { replaceDatabase } from "../../../src/db/sqlite/replace.js";
import { temporaryFolder } from "../../support/database.js";

let path: string;
let aside: string;

const open = (file: string, run: (own: Connection) => void = () => {}): Connection => {
  const own = connect(file, { timeout: 100 });
  run(own);
  return own;
};
const texts = (file: string) => {
  const own = open(file);
  const rows = own.prepare("select text from t").all() as { text: string }[];
  own.close();
  return rows.map(({ text }) => text);
};

beforeEach(() => {
  const folder = temporaryFolder();
  onTestFinished(folder.remove);
  [path, aside] = [join(folder.path, "mu.db"), join(folder.path, "aside.db")];
  open(path, (own) => own.exec("create table t (text); insert into t values ('old')")).close();
});

/** Replaces it by one whose newest row is in its log alone, as where the disk was full when it was closed. */
const replace = (before: (draft: string) => void) =>
  replaceDatabase(path, {
    ...{ aside, present: fileAt(path), waitMs: 100 },
    make: async (draft) => {
      const log = open(draft, (own) => {
        own.pragma("journal_mode = wal");
        own.exec("create table t (text)");
        before(draft);
        own.exec("insert into t values ('new')");
      });
      onTestFinished(() => log.close());
    },
  });

it("takes what only the log of the new database has", async () => {
  await replace(() => {});
  expect([texts(path), texts(aside)]).toEqual([["new"], ["old"]]);
});

it("is given up where that cannot be merged, and the old one stays", async () => {
  const before = readFileSync(path);
  const reads = replace((draft) => {
    // Whoever reads an older state keeps the log from being merged.
    const reader = open(draft);
    onTestFinished(() => reader.close());
    reader.exec("begin; select * from t");
  });
  await expect(reads).rejects.toMatchObject({ code: "db.disk_full" });
  expect(readFileSync(path)).toEqual(before);
  expect(texts(path)).toEqual(["old"]);
});
