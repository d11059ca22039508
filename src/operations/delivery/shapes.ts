import * as z from "zod";

export const deliveryShape = () =>
  z.object({
    id: z.number(),
    workstream: z.string(),
    agent: z.string(),
    task: z.union([z.string(), z.null()]),
    sender: z.string(),
    text: z.string(),
    state: z.enum(["queued", "pasted", "proved", "unproved", "refused", "cancelled"]),
    attempt: z.number(),
    reason: z.union([z.string(), z.null()]),
    createdAt: z.string(),
    pastedAt: z.union([z.string(), z.null()]),
    provedAt: z.union([z.string(), z.null()]),
  });
