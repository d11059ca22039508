import { rejectTask } from "../../tasks/lifecycle.js";
import { defineSetAside } from "./set-aside.js";

export const taskReject = defineSetAside("reject", rejectTask);
