import { Fault } from "../errors.js";

/** The fault for a schema that this program does not know. */
export function newerSchema(location: string): Fault {
  return new Fault(
    "conflict",
    "db.newer",
    `The database ${location} was made by a newer mu. Update mu, or use another database.`,
    [{ intent: "See this mu's version", command: "mu --version --json" }],
  );
}
