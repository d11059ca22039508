import * as z from "zod";

const orNull = <T extends z.ZodType>(shape: T) => z.union([shape, z.null()]);

export const workspaceShape = () =>
  z.strictObject({
    agent: z.string(),
    workstream: z.string(),
    backend: z.enum(["git", "jj", "sl", "none"]),
    root: z.string(),
    path: z.string(),
    baseRef: orNull(z.string()),
    branch: orNull(z.string()),
    state: z.enum(["creating", "ready", "freeing"]),
    createdAt: z.string(),
  });

export const commitShape = () =>
  z.strictObject({
    sha: z.string(),
    subject: z.string(),
    body: z.string(),
    author: z.string(),
    authorDate: z.string(),
  });
