import * as z from "zod";
import { about } from "../fields.js";

/** A save by its name. */
export const salvageField = () => z.string().min(1).meta(about("Save, as <agent>/<n> or <workstream>/<agent>/<n>"));
