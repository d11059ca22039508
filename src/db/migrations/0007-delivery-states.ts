/** `handed` and `typed` say what is known of a prompt that its receiver has not confirmed. */
export const deliveryStates = (): string[] => [
  "drop index deliveries_by_agent",
  "drop index deliveries_in_flight",
  "alter table deliveries rename column state to old_state",
  `alter table deliveries add column state text not null default 'queued' check (state in
     ('queued', 'pasted', 'proved', 'handed', 'typed', 'unproved', 'refused', 'cancelled'))`,
  "update deliveries set state = old_state",
  "alter table deliveries drop column old_state",
  "create index deliveries_by_agent on deliveries (agent_id, state)",
  "create unique index deliveries_in_flight on deliveries (agent_id) where state = 'pasted'",
  "create index deliveries_by_state on deliveries (state)",
];
