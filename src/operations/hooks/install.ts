import { installHooks } from "../../agents/hooks/install.js";
import { defineHooksVerb } from "./define.js";

export const hooksInstall = defineHooksVerb("install", {
  summary: "Let agent CLIs report to mu what they do",
  effect: "write",
  journalled: false,
  each: installHooks,
});
