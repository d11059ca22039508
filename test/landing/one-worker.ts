import type { Said } from "../../src/landing/choose.js";
import { type LandOptions, landTasks } from "../../src/landing/land.js";
import { addTask } from "../../src/tasks/add.js";
import { claimTask } from "../../src/tasks/claim.js";
import { getTask } from "../../src/tasks/task.js";
import { finishTask } from "../../src/work/finish.js";
import { workBeforeClaim } from "../../src/work/work.js";
import { createWorkspace } from "../../src/workspaces/create.js";
import { newWorkshop, type Workshop } from "../support/workshop.js";

/** The one who works: a person, who has a workspace or works in the project itself. */
export const w1 = { workstream: "demo", name: "w1" };
export const ann = { person: "w1" };
export const ref = (name: string) => ({ workstream: "demo", name });

/** The project of the story that runs, and the checkout that is worked in. */
export let shop: Workshop;
export let path: string;

/** A new project, which is itself worked in until there is a workspace. */
export async function openProject(): Promise<void> {
  shop = await newWorkshop({ "README.md": "hello\n", "a.txt": "one\n" });
  path = shop.repository.root;
}

export async function makeWorkspace(): Promise<void> {
  ({ path } = await createWorkspace(shop.crew, w1, { projectRoot: shop.repository.root }));
}

/** Claims a task, which is added where it is missing; gives the subjects of commits that belong to none. */
export async function claim(name: string): Promise<string[]> {
  await addTask(shop.crew.context, "demo", { name, title: name }).catch(() => {});
  const work = await workBeforeClaim(shop.crew, shop.crew.context.store.db, w1, name, shop.repository.root);
  await claimTask(shop.crew.context, ref(name), ann, { work });
  return (work?.loose?.commits ?? []).map(({ subject }) => subject);
}

/** Gives the warnings, a line each. */
export async function finish(name: string, include = false): Promise<string> {
  const { warnings } = await finishTask(shop.crew, ref(name), ann, { cwd: shop.repository.root, check: null, include });
  return warnings.map(({ code, message }) => `${code}: ${message}`).join("\n");
}

/** A finished task with one commit. */
export async function done(name: string, files: Record<string, string>): Promise<void> {
  await claim(name);
  await commit(files, `work of ${name}`);
  await finish(name);
}

export const land = (tasks?: string[], said?: Said, options: LandOptions = { check: null }) =>
  landTasks(shop.crew, { workstream: "demo", tasks, said }, options);
export const commit = (files: Record<string, string>, subject: string, where = path) =>
  shop.repository.commit(files, subject, where);
export const task = (name: string) => getTask(shop.crew.context.store.db, ref(name));
export const onMain = (file: string) => shop.repository.git("show", `main:${file}`);
