import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { thirdPartyNotices } from "../../scripts/notices.js";
import { temporaryFolder } from "../support/database.js";

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

const LICENCE = "Permission is hereby granted, free of charge, to any person. ".repeat(5).trim();

/** Bundles a program that uses one package, which has `files`, and gives the notices. */
async function noticesOf(files: Record<string, string>): Promise<string> {
  const home = join(folder.path, "node_modules", "@some", "thing");
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "package.json"), '{"name":"@some/thing","version":"1.2.3","license":"MIT"}');
  writeFileSync(join(home, "index.js"), "export const one = 1;");
  for (const [name, text] of Object.entries(files)) writeFileSync(join(home, name), text);
  writeFileSync(join(folder.path, "main.js"), 'import { one } from "@some/thing"; console.log(one);');
  const notices = join(folder.path, "dist", "NOTICES.txt");
  await build({
    entryPoints: [join(folder.path, "main.js")],
    bundle: true,
    write: false,
    plugins: [thirdPartyNotices(notices)],
    logLevel: "silent",
  });
  return readFileSync(notices, "utf8");
}

describe("third-party notices", () => {
  it("have name, version and licence text of what is bundled", async () => {
    expect(await noticesOf({ "LICENSE.md": LICENCE })).toContain(`@some/thing 1.2.3 (MIT)\n\n${LICENCE}\n`);
  });

  it("take the licence from the README if it is only there", async () => {
    const notices = await noticesOf({ "README.md": `# thing\n\n## License\n\n${LICENCE}\n\n## Credits\n\nto all` });
    expect(notices).toContain(`@some/thing 1.2.3 (MIT)\n\n${LICENCE}\n`);
    expect(notices).not.toContain("Credits");
  });

  it.each([{}, { "README.md": "## License\n\nMIT\n" }])("fail the build without a licence text", async (files) => {
    await expect(noticesOf(files)).rejects.toThrow("The bundled package @some/thing 1.2.3 has no licence text");
  });
});
