import * as z from "zod";
import { type TaskColumn, taskColumnEntries } from "../../db/task-columns.js";
import type { TaskFields } from "../../tasks/fields.js";
import { type Completes, field, momentField, taskField } from "../fields.js";

/** Labels on the command line: repeated, with commas, or both; a blank one is a mistake, not a wildcard. */
export const labels = (
  description: string,
  notes: { aliases?: string[]; short?: string; completes?: Completes } = {},
) =>
  field(z.array(z.string().trim().min(1, "must not be blank").max(200)), description, {
    value: "label",
    commas: true,
    ...notes,
  });

/** Fields that `task add` and `task update` set alike; tags differ. */
type SetAlike = Omit<TaskFields, "tags">;
type FieldShapes = {
  [K in keyof SetAlike]-?: z.ZodOptional<z.ZodType<Exclude<SetAlike[K], null | undefined>, unknown>>;
};

const SET_ALIKE = taskColumnEntries().flatMap(([name, column]) =>
  column.key === undefined || column.set === undefined || name === "tags" ? [] : [{ ...column, key: column.key }],
);

/** The input of `task add` and `task update` for the columns of a task that people set. */
export const settableFields = () => ({
  ...(Object.fromEntries(SET_ALIKE.map((column) => [column.key, inputShape(column).optional()])) as FieldShapes),
  root: taskField("Job or intake it belongs to").optional(),
});

/** The fields that `task update --clear` empties. */
export const CLEARABLE: readonly string[] = [
  ...SET_ALIKE.flatMap(({ key, nullable, kind }) =>
    nullable && kind !== "texts" && key !== "hold" && key !== "holdReason" ? [key] : [],
  ),
  "root",
];

function inputShape({
  kind,
  about: description = "",
  least = 0,
  most,
  short,
  completes,
  aliases,
}: TaskColumn): z.ZodType {
  const notes = {
    ...(short !== undefined && { short }),
    ...(completes !== undefined && { completes }),
    ...(aliases !== undefined && { aliases }),
    ...(kind === "text" && { lines: true as const }),
  };
  const bounded = (number: z.ZodNumber) => (most === undefined ? number : number.max(most));
  switch (kind) {
    case "whole":
      return field(bounded(z.number().int().min(least)), description, notes);
    case "days":
      return field(bounded(z.number().positive()), description, notes);
    case "usd":
      return field(bounded(z.number().min(least)), description, notes);
    case "labels":
    case "texts":
      return labels(description, notes);
    case "json":
      return field(z.unknown(), description, { value: "json", ...notes });
    case "moment":
      return momentField(description);
    default:
      return field(z.string().max(most ?? (kind === "label" ? 64 : 1_048_576)), description, notes);
  }
}
