import * as z from "zod";
import { field } from "../fields.js";

/** A save by its name. */
export const salvageField = () =>
  field(z.string().min(1), "Save, as <agent>/<n> or <workstream>/<agent>/<n>", { names: "save" });
