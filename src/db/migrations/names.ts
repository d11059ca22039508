/** The migrations in order. Kept apart from their text so that an up-to-date database loads none of it. */
export const MIGRATION_NAMES: readonly string[] = [
  "0001_task_graph",
  "0002_crew",
  "0003_workspaces",
  "0004_texts",
  "0005_salvage_contents",
  "0006_named_views",
  "0007_delivery_states",
  "0008_agent_place",
  "0009_runs",
  "0010_lineage",
  "0011_reviews",
  "0012_requests",
  "0013_former_owner",
  "0014_archives",
];
