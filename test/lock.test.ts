import { execFileSync } from "node:child_process";
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { temporaryFolder } from "./support/database.js";

const root = fileURLToPath(new URL("../", import.meta.url));

interface Locked {
  version: string;
  optionalDependencies?: Record<string, string>;
}

it("the lock file is in step with package.json", () => {
  const folder = temporaryFolder();
  try {
    for (const file of ["package.json", "package-lock.json"]) copyFileSync(join(root, file), join(folder.path, file));
    const args = ["ci", "--dry-run", "--offline", "--no-audit", "--no-fund"];
    expect(execFileSync("npm", args, { cwd: folder.path, encoding: "utf8" })).toMatch(/^added \d+ packages/m);
  } finally {
    folder.remove();
  }
});

it("the lock file has every optional package of other platforms, which npm leaves out when it updates a lock", () => {
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    packages: Record<string, Locked>;
  };
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.entries(optionalDependencies)
      .filter(([name, range]) => !isLocked(packages, path, name, range))
      .map(([name, range]) => `${path}: ${name}@${range}`),
  );
  expect(missing).toEqual([]);
});

/** Whether the folder that `path` would load `name` from is locked, at the version if the range is one. */
function isLocked(packages: Record<string, Locked>, path: string, name: string, range: string): boolean {
  const found = packages[`${path === "" ? "" : `${path}/`}node_modules/${name}`];
  if (found !== undefined) return !/^\d/.test(range) || found.version === range;
  return path !== "" && isLocked(packages, path.slice(0, Math.max(0, path.lastIndexOf("/node_modules/"))), name, range);
}
