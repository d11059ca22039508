import * as z from "zod";
import { about, momentField } from "../fields.js";

/** Labels on the command line: repeated, with commas, or both; a blank one is a mistake, not a wildcard. */
export const labels = (description: string, notes: { aliases?: string[]; short?: string } = {}) =>
  z
    .array(z.string().trim().min(1, "a blank value is not allowed").max(200))
    .meta(about(description, { value: "label", ...notes }));

/** The fields of a task that `task add` and `task update` set alike. */
export const settableFields = () => ({
  title: z
    .string()
    .max(500)
    .optional()
    .meta(about("What is to be done, in a line", { short: "t" })),
  description: z
    .string()
    .max(1_048_576)
    .optional()
    .meta(about("The whole text; @file reads a file, @- standard input")),
  impact: z
    .number()
    .int()
    .min(1)
    .max(100)
    .optional()
    .meta(about("Worth, 1 to 100", { short: "i" })),
  effortDays: z
    .number()
    .positive()
    .max(100_000)
    .optional()
    .meta(about("Effort in days, above 0", { short: "e" })),
  priority: z.number().int().min(1).max(9).optional().meta(about("1 goes first, 9 last")),
  kind: z.string().max(64).optional().meta(about("What sort of task it is")),
  role: z
    .string()
    .max(64)
    .optional()
    .meta(about("Only agents of this role take it", { completes: "role" })),
  touches: labels("Globs of the files it expects to change").optional(),
  payload: z
    .unknown()
    .optional()
    .meta(about("Any JSON value to carry along", { value: "json" })),
  notBefore: momentField({ description: "Nobody may take it before this moment" }).optional(),
  maxRetries: z.number().int().min(0).max(1000).optional().meta(about("How often a failed run is tried again")),
  externalRef: z.string().max(2000).optional().meta(about("Its name elsewhere, such as an issue's URL")),
  step: z.string().max(64).optional().meta(about("The step of its job")),
  root: z
    .string()
    .optional()
    .meta(about("The job or intake it belongs to", { completes: "task" })),
});
