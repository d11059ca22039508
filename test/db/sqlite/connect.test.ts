import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connectNodeSqlite } from "../../../src/db/sqlite/node-sqlite.js";
import { type Home, newHome, PROGRAM } from "../../support/cli.js";

let home: Home;
beforeEach(() => {
  home = newHome();
});
afterEach(() => home.end());

const hasNodeSqlite = connectNodeSqlite(":memory:", { timeout: 0 }) !== undefined;

describe.each(["was made for another Node", "was never built, as with --ignore-scripts"])(
  "a SQLite addon that %s",
  (which) => {
    let program: string;
    beforeEach(() => {
      program = join(home.folder, "installed", "dist", "main.cjs");
      cpSync(dirname(PROGRAM), dirname(program), { recursive: true });
      const addon = join(home.folder, "installed", "node_modules", "better-sqlite3", "build", "Release");
      mkdirSync(addon, { recursive: true });
      if (which.startsWith("was made")) writeFileSync(join(addon, "better_sqlite3.node"), "made for another machine");
    });

    it.runIf(hasNodeSqlite)("leaves the work to Node's own SQLite, without a warning", async () => {
      const added = await home.sh(`node ${program} workstream init shop && node ${program} task add build`);
      expect([added.code, added.stderr]).toEqual([0, ""]);
      const read = await home.sh(`node ${program} sql "select name, 9007199254740993 as big from tasks" --json`);
      expect(read.json()).toEqual([{ name: "build", big: "9007199254740993" }]);
      expect((await home.mu("task list --json")).json().count).toBe(1);
    });

    it.runIf(hasNodeSqlite)("backs up, keeps snapshots and restores with it", async () => {
      const mu = (line: string) => home.sh(`node ${program} ${line}`);
      for (const line of ["workstream init shop", "task add build", "backup kept.db", "task delete build --yes"]) {
        expect((await mu(line)).code).toBe(0);
      }
      expect((await mu("snapshot list --json")).json().items).toMatchObject([{ before: "task.delete" }]);
      expect((await mu("snapshot restore kept.db --yes --json")).json()).toMatchObject({ restored: true });
      expect((await mu("task list --json")).json().count).toBe(1);
      expect((await mu("audit verify --tables")).code).toBe(0);
    });

    it.skipIf(hasNodeSqlite).each(["workstream init shop", "doctor"])(
      "says in mu %s how to rebuild it",
      async (line) => {
        const { code, fault } = await home.sh(`node ${program} ${line} --json`);
        expect([code, fault().code]).toEqual([5, "db.no_driver"]);
        expect(fault().nextSteps[0]?.command).toBe("npm rebuild better-sqlite3");
      },
    );
  },
);
