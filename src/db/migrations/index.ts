import { type Migration, sql } from "kysely";
import type { Flavour } from "../flavour.js";
import { taskGraph } from "./0001-task-graph.js";
import { crew } from "./0002-crew.js";
import { workspaces } from "./0003-workspaces.js";
import { texts } from "./0004-texts.js";
import { salvageContents } from "./0005-salvage-contents.js";
import { namedViews } from "./0006-named-views.js";
import { deliveryStates } from "./0007-delivery-states.js";
import { agentPlace } from "./0008-agent-place.js";
import { runs } from "./0009-runs.js";
import { lineage } from "./0010-lineage.js";
import { reviews } from "./0011-reviews.js";
import { requests } from "./0012-requests.js";
import { formerOwner } from "./0013-former-owner.js";
import { archives } from "./0014-archives.js";
import { MIGRATION_NAMES } from "./names.js";

/** Every migration by its name, written for one dialect: statements that run in order. */
export function migrations(flavour: Flavour): Record<string, Migration> {
  const all = [
    taskGraph,
    crew,
    workspaces,
    texts,
    salvageContents,
    namedViews,
    deliveryStates,
    agentPlace,
    runs,
    lineage,
    reviews,
    requests,
    formerOwner,
    archives,
  ].map((statements, at): [string, Migration] => {
    const up: Migration["up"] = async (db) => {
      for (const text of statements(flavour)) await sql.raw(text).execute(db);
    };
    return [MIGRATION_NAMES[at] ?? "", { up }];
  });
  return Object.fromEntries(all);
}
