import { copyFileSync, readFileSync, writeFileSync } from "node:fs";

/** Ends the build: the SDK's types stand on their own, without Kysely, which is bundled and not installed. */
const types = readFileSync("dist/index.d.ts", "utf8");
writeFileSync("dist/index.d.ts", types.replaceAll(/ from ['"]kysely['"];/g, ' from "./kysely.js";'));
copyFileSync("scripts/sdk/kysely.d.ts", "dist/kysely.d.ts");
