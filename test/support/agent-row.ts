/** The row of an agent without a pane, as an `insert` takes it. */
export function agentRow<T extends { workstream_id: number; name: string; spawned_at: string }>(columns: T) {
  return {
    role: null,
    access: "full",
    cli: "shell",
    command: null,
    host: null,
    boot: null,
    namespace: null,
    socket: null,
    pane: null,
    server: null,
    pid: null,
    window: null,
    session_ref: null,
    closed_at: null,
    ...columns,
  };
}
