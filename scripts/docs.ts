import { readFileSync, writeFileSync } from "node:fs";
import { generatedFiles } from "../src/reference.js";

// Writes what is generated from the operations; with --check it only tells what is stale and fails.
const check = process.argv.includes("--check");
const root = new URL("../", import.meta.url);
let stale = 0;
for (const { path, render } of await generatedFiles()) {
  const file = new URL(path, root);
  const before = readOrEmpty(file);
  const after = render(before);
  if (before === after) continue;
  stale++;
  if (check) console.error(`${path} is stale: run npm run docs`);
  else writeFileSync(file, after);
}
if (check && stale > 0) process.exitCode = 1;

function readOrEmpty(file: URL): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
