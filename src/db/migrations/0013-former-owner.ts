/** Who had a task where it was kept or imported from. */
export const formerOwner = (): string[] => ["alter table tasks add column former_owner text"];
