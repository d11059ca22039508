export * from "@hono/node-server";
