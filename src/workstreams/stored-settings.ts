import type { Context } from "../db/context.js";
import type { Reader } from "../db/schema.js";
import { write } from "../db/write.js";
import { Fault } from "../errors.js";
import { quote } from "../names.js";
import { readSettings, type Settings, settingValue, valueAt, withSetting } from "./settings.js";
import { workstreamRow } from "./workstream.js";

/** The settings of a workstream; faults `workstream.not_found`. */
export async function getSettings(db: Reader, workstream: string): Promise<Settings> {
  return readSettings((await workstreamRow(db, workstream)).settings);
}

/** What became of a setting. */
export interface SettingChange {
  settings: Settings;
  /** The value that counts from now on. */
  value: unknown;
  changed: boolean;
}

/**
 * Sets `key` to what `text` says, or back to its default without one. Faults `setting.unknown` with near keys,
 * `setting.invalid`, `workstream.not_found`.
 */
export async function changeSetting(
  context: Context,
  workstream: string,
  key: string,
  text: string | undefined,
): Promise<SettingChange> {
  const value = text === undefined ? undefined : settingValue(key, text);
  const payload = value === undefined ? { key } : { key, value };
  return write(context, { op: "workstream.set", scope: workstream, subject: workstream, payload }, async (tx) => {
    const row = await workstreamRow(tx.db, workstream);
    const stored = withSetting(row.settings, key, value);
    await tx.patch("workstreams", row.id, { settings: stored }, row);
    const settings = readSettings(stored);
    return { settings, value: valueAt(settings, key), changed: stored !== row.settings };
  });
}

/**
 * Looks for the branch that the workstream is set to. A branch may be set before it is there, so the fault for one that
 * is not, `vcs.unknown_ref`, says where its name comes from.
 */
export async function namingBranchSetting<T>(workstream: string, branch: string, look: () => Promise<T>): Promise<T> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== "vcs.unknown_ref") throw error;
    throw new Fault(
      error.kind,
      error.code,
      `${error.message} The setting branch of ${workstream} says ${quote(branch)}.`,
      [
        ...error.nextSteps,
        { intent: "Go back to the repository's own", command: `mu workstream set branch --unset -w ${workstream}` },
      ],
      error.details,
    );
  }
}
