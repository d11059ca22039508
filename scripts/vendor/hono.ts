export * from "hono";
export * from "hono/body-limit";
export * from "hono/cookie";
export * from "hono/secure-headers";
export * from "hono/streaming";
