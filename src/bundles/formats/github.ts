import { isObject } from "../../shape.js";
import { keptNote } from "../../tasks/kept.js";
import { type Draft, draftTasks, unreadFields } from "../drafts.js";
import { readJson } from "../task-file.js";
import { type Fields, type Format, invalidFile, objectsIn, tagsOf, textIn } from "./format.js";

const READ = [
  ...["number", "title", "body", "state", "stateReason", "labels", "assignees", "createdAt", "updatedAt", "closedAt"],
  ...["comments", "url", "id", "closed"],
];

/** What `gh issue list --state all --json number,title,body,…` prints. Issues of GitHub wait for none. */
export const github: Format = {
  read(files) {
    const issues = [...files].flatMap(([path, text]) => {
      const found = readJson(text);
      const isList = Array.isArray(found) && found.every((one) => isObject(one) && typeof one["title"] === "string");
      if (!isList) throw invalidFile(path, "it is no list of issues with title, as gh issue list --json gives it");
      return found as Fields[];
    });
    return [draftTasks(issues.map(draftOf), unreadFields(issues, READ))];
  },
};

function draftOf(issue: Fields): Draft {
  const number = String(issue["number"] ?? "");
  const [first, ...others] = objectsIn(issue, "assignees").flatMap((one) => textIn(one, "login") ?? []);
  const isClosed = issue["state"] === "CLOSED" || issue["closed"] === true;
  const isRefused = ["NOT_PLANNED", "DUPLICATE"].includes(String(issue["stateReason"]));
  const at = textIn(issue, "updatedAt") ?? textIn(issue, "createdAt") ?? "";
  const comments = objectsIn(issue, "comments").map((comment) => {
    const author = isObject(comment["author"]) ? textIn(comment["author"], "login") : undefined;
    const createdAt = textIn(comment, "createdAt") ?? at;
    return keptNote({ author: author ?? "unknown", text: textIn(comment, "body") ?? "", createdAt });
  });
  const more =
    others.length === 0 ? [] : [keptNote({ author: "github", text: `Also: ${others.join(", ")}`, createdAt: at })];
  return {
    id: number,
    title: String(issue["title"]),
    fields: {
      status: isClosed ? (isRefused ? "REJECTED" : "CLOSED") : "OPEN",
      description: textIn(issue, "body"),
      owner: first,
      tags: tagsOf(objectsIn(issue, "labels").flatMap((label) => textIn(label, "name") ?? [])),
      externalRef: textIn(issue, "url") ?? (number === "" ? undefined : `#${number}`),
      createdAt: textIn(issue, "createdAt"),
      updatedAt: textIn(issue, "updatedAt"),
      closedAt: isClosed ? textIn(issue, "closedAt") : undefined,
      notes: [...more, ...comments],
    },
  };
}
