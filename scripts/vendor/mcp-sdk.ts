export * from "@modelcontextprotocol/sdk/server/index.js";
export * from "@modelcontextprotocol/sdk/server/stdio.js";
export * from "@modelcontextprotocol/sdk/types.js";
