import * as z from "zod";

const orNull = <T extends z.ZodType>(shape: T) => z.union([shape, z.null()]);

/** A save; the numbers are null for one that a crash left without a row. */
export const salvageShape = () =>
  z.strictObject({
    name: z.string(),
    workstream: z.string(),
    agent: z.string(),
    n: z.number(),
    backend: z.enum(["git", "jj", "sl", "none"]),
    root: z.string(),
    place: z.string(),
    commit: orNull(z.string()),
    commits: orNull(z.number()),
    files: orNull(z.number()),
    reason: orNull(z.string()),
    createdAt: orNull(z.string()),
  });

/** What a verb that takes work away has saved before. */
export const savedShape = () => orNull(salvageShape());
