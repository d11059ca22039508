import { enumerate } from "../../names.js";
import { describeSaved, type Salvage } from "../../workspaces/salvage.js";
import { type Drawing, type NextSteps, step } from "../define.js";

/** The lines about what was saved, if anything was. */
export function savedLines(salvage: Pick<Salvage, "name"> | null): Drawing {
  if (salvage === null) return null;
  const whole = salvage as Salvage;
  return [
    `  saved ${describeSaved(whole)}`,
    whole.leftOut.length > 0 && `  ignored and too large to save: ${enumerate(whole.leftOut, 5)}`,
  ];
}

/** How to look at what was saved, and to bring it back. */
export function savedSteps(salvage: Pick<Salvage, "name"> | null): NextSteps {
  if (salvage === null) return [];
  return [
    step("Show what was saved", `mu salvage show ${salvage.name}`),
    step("Restore it", `mu salvage restore ${salvage.name}`),
  ];
}
