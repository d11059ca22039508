import { deferTask } from "../../tasks/lifecycle.js";
import { defineSetAside } from "./set-aside.js";

export const taskDefer = defineSetAside("defer", deferTask);
