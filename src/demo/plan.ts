import type { PlanTask } from "../tasks/planned-tasks.js";

/** The goal that everything else is for. */
export const GOAL = "launch";

/** What builds on other work waits until that is on main. */
const landed = (...blockers: string[]) => blockers.map((name) => `${name}@landed`);

/**
 * Ten tasks for three agents: three are ready at once, `sketch` → `catalogue`, `checkout` → `assemble` is a diamond,
 * and only one agent can work at the end. `sketch` and `prices`
 * are for different roles and write into the same lines.
 */
export const PLAN: readonly PlanTask[] = [
  {
    name: "sketch",
    title: "Sketch the shop",
    role: "designer",
    impact: 90,
    effortDays: 0.5,
    touches: ["sketch.md", "README.md"],
  },
  { name: "prices", title: "Collect the prices", role: "builder", impact: 70, touches: ["prices.md", "README.md"] },
  { name: "hosting", title: "Choose a host", role: "builder", impact: 60 },
  { name: "catalogue", title: "Build the catalogue", blockedBy: landed("sketch", "prices"), effortDays: 2 },
  { name: "checkout", title: "Build the checkout", blockedBy: landed("sketch"), effortDays: 3 },
  { name: "photos", title: "Photograph the goods", blockedBy: landed("prices") },
  { name: "assemble", title: "Put catalogue and checkout together", blockedBy: landed("catalogue", "checkout") },
  { name: "manual", title: "Write the manual", blockedBy: landed("checkout"), effortDays: 0.5 },
  { name: "deploy", title: "Deploy the shop", blockedBy: landed("assemble", "hosting") },
  { name: GOAL, title: "Open the shop", impact: 100, blockedBy: landed("deploy", "manual", "photos") },
];
