import * as z from "zod";
import { salvageShape } from "../workspace/saved.js";
import { workspaceShape } from "../workspace/shapes.js";

const orNull = <T extends z.ZodType>(shape: T) => z.union([shape, z.null()]);

export const agentStatusShape = () =>
  z.enum(["spawning", "busy", "needs_input", "needs_permission", "idle", "free", "unreachable", "terminated"]);

export const agentShape = () =>
  z.strictObject({
    name: z.string(),
    workstream: z.string(),
    cli: z.string(),
    role: orNull(z.string()),
    access: z.enum(["full", "read-only"]),
    status: orNull(agentStatusShape()),
    statusReason: orNull(z.string()),
    statusSince: orNull(z.string()),
    command: orNull(z.string()),
    host: orNull(z.string()),
    pane: orNull(z.string()),
    server: orNull(z.string()),
    window: orNull(z.string()),
    sessionRef: orNull(z.string()),
    spawnedAt: z.string(),
    closedAt: orNull(z.string()),
  });

export const readinessShape = () =>
  orNull(
    z.strictObject({
      ready: z.boolean(),
      status: z.string(),
      reason: z.string(),
      rule: orNull(z.string()),
      waitedMs: z.number(),
    }),
  );

/** The workspace that an agent works in, and whether it was there before. */
export const spawnWorkspaceShape = () => orNull(workspaceShape().extend({ reused: z.boolean() }));

/** What became of the workspace of an agent that was closed. */
export const leftWorkspaceShape = () =>
  orNull(
    z.strictObject({
      workspace: workspaceShape(),
      freed: z.boolean(),
      salvage: orNull(salvageShape()),
      problem: orNull(z.string()),
    }),
  );

/** Agent CLIs by their keys. */
export const CLI_KEYS = ["pi", "claude", "codex", "gemini", "opencode", "shell", "command"] as const;
