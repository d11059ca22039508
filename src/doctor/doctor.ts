import { CREW } from "./crew.js";
import { DATABASE } from "./database.js";
import { ENVIRONMENT } from "./environment.js";
import type { Probe } from "./finding.js";
import { STATE_FOLDER } from "./state-folder.js";
import { WORKSPACES } from "./workspaces.js";

/** All that is examined, in the order in which it is reported. */
export const PROBES: readonly Probe[] = [...ENVIRONMENT, ...DATABASE, ...STATE_FOLDER, ...CREW, ...WORKSPACES];
