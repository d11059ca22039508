import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { anyProvider, PROVIDERS } from "../../src/jobs/steps.js";
import { temporaryFolder } from "../support/database.js";

/** A folder with these programs alone. */
function withPrograms(...names: string[]): { env: { PATH: string }; root: string } {
  const folder = temporaryFolder();
  onTestFinished(folder.remove);
  const bin = join(folder.path, "bin");
  mkdirSync(bin);
  for (const name of names) writeFileSync(join(bin, name), "", { mode: 0o755 });
  return { env: { PATH: bin }, root: folder.path };
}

it("a random provider is one that is installed, and of one seed and step always the same", async () => {
  const at = withPrograms("claude", "pi", "gemini");
  const chosen = new Set<string>();
  for (let n = 0; n < 40; n++) {
    const first = await anyProvider({ ...at, seed: "1" }, `theme plan ${n}`);
    expect(await anyProvider({ ...at, seed: "1" }, `theme plan ${n}`)).toBe(first);
    chosen.add(first);
  }
  expect([...chosen].sort()).toEqual(["claude", "gemini", "pi"]);
  expect(["claude", "gemini", "pi"]).toContain(await anyProvider(at, "theme plan"));
});

it("without any of them there is none", async () => {
  await expect(anyProvider(withPrograms("vi"), "theme plan")).rejects.toMatchObject({
    ...{ code: "job.no_provider", exitCode: 5 },
    message: expect.stringContaining(PROVIDERS.join(", ")),
  });
});
