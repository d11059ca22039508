import { resolve } from "node:path";
import * as z from "zod";
import { ASSET, addAsset, listAssets } from "../work/assets.js";
import { defineOperation, excerpt, excerptOf, step, withTotal } from "./define.js";
import { field, limitField, optionalText, taskField, workstreamField } from "./fields.js";

const KIND = z.string().trim().min(1).max(64);

export const assetAdd = defineOperation({
  name: "asset.add",
  summary: "Register a file that was made",
  description:
    "Keeps its path, size and SHA-256, not the file. A file that is as its newest version says is not registered again; one that has changed becomes the next version. Inside a run the task is that of the run.",
  effect: "write",
  repeatable: true,
  input: () => ({
    path: field(z.string().min(1), "File"),
    workstream: workstreamField(),
    kind: field(KIND, "What it is, such as report or image"),
    task: taskField("Task that it belongs to").optional(),
  }),
  output: { asset: ASSET, changed: "boolean" },
  positional: ["path"],
  examples: [
    { command: "mu asset add plan.yaml --kind plan --task build", shows: "a file of a task" },
    { command: "mu asset add nothing.png --kind image", shows: "no such file", fault: "asset.not_a_file" },
  ],
  async run({ context, request }, { path, workstream, kind, task }) {
    return addAsset(context, workstream, { file: resolve(request.cwd, path), kind, task: task?.name });
  },
  next: (_, { workstream }) => [step("List them", `mu asset list -w ${workstream}`)],
  render: ({ asset: { path, version, bytes }, changed }, paint) =>
    changed
      ? `Registered ${paint.bold(path)} as version ${version} (${bytes} bytes)`
      : `${paint.bold(path)} is still version ${version}`,
});

export const assetList = defineOperation({
  name: "asset.list",
  summary: "List registered files, newest first",
  effect: "read",
  input: () => ({
    workstream: workstreamField(),
    task: taskField("Only files of this task").optional(),
    kind: field(KIND.optional(), "Only files of this kind"),
    path: optionalText("Only versions of the file with this path, as the list shows it"),
    limit: limitField(50),
  }),
  output: excerptOf(ASSET),
  examples: [
    { command: "mu asset list", shows: "what was made" },
    { command: "mu asset list --kind report --task build", shows: "the reports of a task" },
    { command: "mu asset list -w nowhere", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  run: async ({ context }, { workstream, limit, ...filter }) =>
    excerpt(await listAssets(context.store.db, workstream, filter), limit),
  render: (result, paint) =>
    withTotal(
      paint.list(result.items, "No files.", [
        { head: "path", text: ({ path }) => paint.bold(path), max: 40, cut: "front" },
        { head: "v", text: ({ version }) => String(version), align: "right" },
        { head: "kind", text: ({ kind }) => kind, max: 12 },
        { head: "bytes", text: ({ bytes }) => String(bytes), align: "right" },
        { head: "task", text: ({ task }) => task ?? "—", max: 20 },
        { head: "by", text: ({ agent, run }) => (run === null ? agent : `${agent} (run ${run})`), max: 20 },
        { head: "sha256", text: ({ sha256 }) => sha256.slice(0, 12) },
      ]),
      result,
      paint,
    ),
});
