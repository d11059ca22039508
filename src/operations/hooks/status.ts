import { hooksStatus } from "../../agents/hooks/install.js";
import { defineHooksVerb } from "./define.js";

export const hooksStatusOperation = defineHooksVerb("status", {
  summary: "Say whether mu's hooks are installed",
  effect: "read",
  each: hooksStatus,
});
