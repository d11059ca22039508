import type { NextStep } from "../../errors.js";
import { enumerate } from "../../names.js";
import { describeSaved, type Salvage } from "../../workspaces/salvage.js";
import { step } from "../operation.js";

/** The line about what was saved; `[]` when there was nothing to save. */
export function savedLines(salvage: Pick<Salvage, "name"> | null): string[] {
  if (salvage === null) return [];
  const whole = salvage as Salvage;
  const lost = whole.leftOut.length === 0 ? [] : [`  ignored and too large to save: ${enumerate(whole.leftOut, 5)}`];
  return [`  saved ${describeSaved(whole)}`, ...lost];
}

/** How to look at what was saved, and to bring it back. */
export function savedSteps(salvage: Pick<Salvage, "name"> | null): NextStep[] {
  if (salvage === null) return [];
  return [
    step("Show what was saved", `mu salvage show ${salvage.name}`),
    step("Restore it", `mu salvage restore ${salvage.name}`),
  ];
}
