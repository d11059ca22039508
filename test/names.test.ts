import { expect, it } from "vitest";
import { duration } from "../src/names.js";

it.each([
  [0, "0 s"],
  [40, "0 s"],
  [3_644, "3.6 s"],
  [59_940, "59.9 s"],
  [59_960, "1 min"],
  [725_000, "12 min 5 s"],
  [3_599_700, "1 h"],
  [7_530_000, "2 h 5 min"],
  [90_000_000, "25 h"],
  [-5, "0 s"],
])("%i ms is %s for a person", (ms, text) => expect(duration(ms)).toBe(text));
