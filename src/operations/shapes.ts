import * as z from "zod";

/** Shapes of what verbs give back. They are checked in tests, over MCP and by the gateway. */
export const nextStepsShape = () => z.array(z.object({ intent: z.string(), command: z.string() }));

const text = () => z.string();
const orNull = <T extends z.ZodType>(shape: T) => z.union([shape, z.null()]);

export const statusShape = () => z.enum(["OPEN", "IN_PROGRESS", "CLOSED", "REJECTED", "DEFERRED"]);

/** What an edge asks of its blocker. */
export const levelShape = () => z.enum(["closed", "verified", "landed"]);

export const taskShape = () =>
  z.strictObject({
    name: text(),
    workstream: text(),
    title: text(),
    status: statusShape(),
    kind: text(),
    role: orNull(text()),
    impact: z.number(),
    effortDays: z.number(),
    roi: z.number(),
    priority: z.number(),
    owner: orNull(text()),
    tags: z.array(text()),
    touches: z.array(text()),
    description: orNull(text()),
    hold: orNull(text()),
    holdReason: orNull(text()),
    root: orNull(text()),
    step: orNull(text()),
    payload: z.unknown(),
    attempts: z.number(),
    maxRetries: z.number(),
    notBefore: orNull(text()),
    outcome: orNull(text()),
    externalRef: orNull(text()),
    claimGeneration: z.number(),
    leaseUntil: orNull(text()),
    level: orNull(z.enum(["claimed", "verified", "landed"])),
    landedCommit: orNull(text()),
    createdAt: text(),
    updatedAt: text(),
    closedAt: orNull(text()),
  });

/** A task that is ready also says how many it frees. */
export const readyTaskShape = () => taskShape().extend({ unblocks: z.number() });

/** One run of a task's check. */
export const checkShape = () =>
  z.strictObject({
    command: text(),
    author: text(),
    green: z.boolean(),
    exitCode: orNull(z.number()),
    seconds: z.number(),
    commit: orNull(text()),
    tree: orNull(text()),
    tail: text(),
    createdAt: text(),
  });

export const noteShape = () =>
  z.strictObject({
    author: text(),
    kind: z.enum(["note", "decision", "evidence", "review", "test"]),
    text: text(),
    rationale: orNull(text()),
    createdAt: text(),
  });

/** `{items, count}`, the shape of every list. */
export const listShape = <T extends z.ZodType>(item: T) => z.strictObject({ items: z.array(item), count: z.number() });

export const settingsShape = () =>
  z.strictObject({
    check: orNull(text()),
    checkTimeoutSeconds: z.number(),
    closeRequires: orNull(z.enum(["commit", "check", "landed"])),
    branch: orNull(text()),
    borders: z.enum(["on", "off"]),
    setup: z.strictObject({
      copy: z.array(text()),
      link: z.array(text()),
      command: orNull(text()),
      ports: z.number(),
      timeoutSeconds: z.number(),
    }),
  });

export const workstreamShape = () =>
  z.strictObject({
    name: text(),
    root: orNull(text()),
    host: orNull(text()),
    settings: settingsShape(),
    createdAt: text(),
  });

export const workstreamSummaryShape = () =>
  workstreamShape().extend({
    tasks: z.number(),
    open: z.number(),
    edges: z.number(),
    notes: z.number(),
    agents: z.number(),
  });
