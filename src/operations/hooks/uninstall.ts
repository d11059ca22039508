import { uninstallHooks } from "../../agents/hooks/install.js";
import { defineHooksVerb } from "./define.js";

export const hooksUninstall = defineHooksVerb("uninstall", {
  summary: "Take mu's hooks out of agent CLIs again",
  effect: "write",
  journalled: false,
  each: uninstallHooks,
});
