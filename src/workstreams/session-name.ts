/** The tmux session of a workstream. */
export function sessionOf(workstream: string): string {
  return `mu-${workstream}`;
}

/** The workstream whose session that is; undefined for everybody else's sessions. */
export function workstreamOf(session: string): string | undefined {
  return /^mu-(.+)$/.exec(session)?.[1];
}
