import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Crew } from "../../src/agents/crew.js";
import type { Context } from "../../src/db/context.js";
import { write } from "../../src/db/write.js";
import type { BackendKey } from "../../src/vcs/vcs.js";
import { readSettings, type SetupSettings } from "../../src/workstreams/settings.js";
import { initWorkstream, workstreamRow } from "../../src/workstreams/workstream.js";
import type { Repository } from "./repository.js";

/** A crew without panes, on the repository's own environment. */
export function crewOn(context: Context, repository: Pick<Repository, "dir" | "world">): Crew {
  const stateDir = join(repository.dir, "state");
  mkdirSync(stateDir, { recursive: true });
  const env = { ...repository.world.env, XDG_RUNTIME_DIR: repository.dir };
  return { context, exec: repository.world.exec, env, stateDir, databaseEnv: {} } as unknown as Crew;
}

/** The row of a workspace at `path`, as it is while it is made. */
export async function reservedRow(
  context: Context,
  place: { root: string; path: string; agent?: string; backend?: BackendKey },
) {
  const { root, path, agent = "ann", backend = "git" } = place;
  await initWorkstream(context, "demo");
  const { id } = await workstreamRow(context.store.db, "demo");
  const row = await write(context, { op: "workspace.create", scope: "demo", subject: `demo/${agent}` }, (tx) =>
    tx.insert("workspaces", {
      workstream_id: id,
      agent,
      backend,
      root,
      path,
      base_ref: null,
      branch: null,
      state: "creating",
      freed_at: null,
    }),
  );
  return { ...row, workstream: "demo" };
}

/** Settings of a setup, the rest as where nobody set anything. */
export function setupOf(wishes: Partial<SetupSettings> = {}): SetupSettings {
  return { ...readSettings("{}").setup, ...wishes };
}
