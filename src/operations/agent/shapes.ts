import * as z from "zod";
import { field } from "../fields.js";

/** Agent CLIs by their keys. */
export const CLI_KEYS = ["pi", "claude", "codex", "gemini", "opencode", "shell", "command"] as const;

const KEY = z.string().regex(/^[a-z]\w*$/);
const KEYS = `${CLI_KEYS.join(", ")}, or any with MU_<KEY>_COMMAND`;

/** A CLI's key: also one that only `$MU_<KEY>_COMMAND` knows. */
export const cliField = (about: string) =>
  field(KEY.optional(), `${about}. ${KEYS}`, { completes: "cli", value: "key" });
