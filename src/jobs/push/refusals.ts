import type { Crew } from "../../agents/crew.js";
import { Fault } from "../../errors.js";
import { counted, enumerate, quote, shellWord } from "../../names.js";
import { getLander } from "../../vcs/backends.js";
import type { Outlet } from "../../vcs/git/publish.js";
import { findCommit } from "../../vcs/git/run.js";
import { type Group, namesOf } from "./group.js";

const gitAt = (path: string) => `git -C ${shellWord(path)}`;

export function busy({ path, underway }: Outlet): Fault {
  return new Fault("conflict", "job.checkout_busy", `${quote(path)} has a ${underway} in progress. End it first.`, [
    { intent: "See its status", command: `${gitAt(path)} status` },
  ]);
}

export function detached({ path }: Outlet, name: string): Fault {
  return new Fault("conflict", "job.detached", `${quote(path)} is on no branch. Nothing was changed.`, [
    { intent: "Put it on a branch", command: `${gitAt(path)} switch -c ${name}` },
  ]);
}

export async function noUpstream(crew: Crew, { path }: Outlet, branch: string): Promise<Fault> {
  const remote = await getLander("git").remote(crew, path, branch);
  const isThere = remote && (await findCommit(crew, path, `refs/remotes/${remote}/${branch}`)) !== undefined;
  const word = shellWord(branch);
  const command =
    remote === undefined
      ? "remote add origin <url>"
      : isThere
        ? `branch --set-upstream-to=${remote}/${word} ${word}`
        : `push -u ${remote} ${word}`;
  const message = `${branch} in ${quote(path)} has no upstream branch to be pushed to. Nothing was changed.`;
  return new Fault("conflict", "job.no_upstream", message, [
    { intent: remote === undefined ? "Add a remote" : "Set it", command: `${gitAt(path)} ${command}` },
  ]);
}

export function stagedElsewhere({ path }: Outlet, folder: string, files: readonly string[]): Fault {
  const what = `${counted(files.length, "file is", "files are")} staged outside of ${quote(folder)}: ${enumerate(files, 5)}`;
  return new Fault("conflict", "job.staged_elsewhere", `${what}. Commit or unstage them.`, [
    {
      intent: "Unstage them",
      command: `${gitAt(path)} restore --staged ${files.slice(0, 5).map(shellWord).join(" ")}`,
    },
  ]);
}

const said = (words: string) => words.replaceAll(/^/gm, "  ");

export function commitRefused({ outlet: { path, branch } }: Group, words: string): Fault {
  const message = `git refused the commit on ${branch}; everything is as before. It said:\n${said(words)}`;
  return new Fault(
    "conflict",
    "job.commit_refused",
    message,
    [{ intent: "See what would be committed", command: `${gitAt(path)} status` }],
    { words },
  );
}

export function hookRefused(group: Group, words: string, state: string): Fault {
  const message = `The pre-push hook refused ${group.branch}. ${state} It said:\n${said(words)}`;
  return new Fault("conflict", "job.push_hook", message, [again(group)], { words });
}

export function pushFailed(group: Group, words: string): Fault {
  const { outlet, branch, upstream } = group;
  const message = `${upstream.remote} did not take ${branch}: ${words}. The commit is there and ${enumerate(namesOf(group))} archived; only the push is left.`;
  const pull = `${gitAt(outlet.path)} pull --rebase ${shellWord(upstream.remote)} ${shellWord(upstream.ref.replace("refs/heads/", ""))}`;
  const details = { words, jobs: namesOf(group), branch, remote: upstream.remote };
  return new Fault(
    "unavailable",
    "job.push_failed",
    message,
    [{ intent: "If it has newer commits, take them in", command: pull }, again(group)],
    details,
  );
}

export function again({ members }: Group) {
  const workstream = members[0]?.job.row.workstream;
  return { intent: "Push again", command: `mu job push --yes -w ${workstream}` };
}
