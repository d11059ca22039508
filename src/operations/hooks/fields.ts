import { resolve } from "node:path";
import * as z from "zod";
import type { HookTarget } from "../../agents/hooks/install.js";
import type { Io } from "../app.js";
import { about } from "../fields.js";
import type { Paint } from "../paint.js";

/** CLIs whose hooks can be installed for good. */
const CLIS = ["claude", "pi", "opencode"] as const;

/** What the verbs of hooks take alike. */
export const hookFields = () => ({
  cli: z.array(z.enum(CLIS)).min(1).optional().meta(about("Only these CLIs")),
  project: z
    .string()
    .min(1)
    .optional()
    .meta(about("For one project's folder, not for the user", { value: "folder" })),
});

/** What the verbs of hooks give alike. */
export const hooksShape = () =>
  z.strictObject({
    items: z.array(
      z.strictObject({
        cli: z.string(),
        path: z.string(),
        state: z.enum(["installed", "outdated", "absent"]),
        changed: z.boolean().optional(),
      }),
    ),
    count: z.number(),
  });

type HookInput = z.output<z.ZodObject<ReturnType<typeof hookFields>>>;

/** Where the hooks of each CLI go. */
export function hookTargets({ env, cwd }: Io, { cli, project }: HookInput): HookTarget[] {
  const scope =
    project === undefined ? { scope: "user" as const } : { scope: "project" as const, project: resolve(cwd, project) };
  return (cli ?? CLIS).map((key) => ({ cli: key, home: env["HOME"] ?? "/", env, ...scope }));
}

/** One line a CLI. */
export function hookTable(items: z.output<ReturnType<typeof hooksShape>>["items"], paint: Paint): string {
  return paint.table(items, [
    { head: "cli", text: (item) => item.cli },
    { head: "hooks", text: (item) => `${item.state}${item.changed === false ? ", unchanged" : ""}` },
    { head: "file", text: (item) => item.path, max: 80 },
  ]);
}
