import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { createMcpServer } from "../../src/mcp.js";
import type { Seeded } from "./seeded.js";

/** mu's MCP server behind a URL on this machine. mu itself speaks on standard input and output alone. */
export interface McpOverHttp {
  url: string;
  end(): Promise<void>;
}

/** Serves all tools on a seeded project, with a server for each session as `mu mcp` has a process. */
export async function serveOverHttp({ world, request }: Pick<Seeded, "world" | "request">): Promise<McpOverHttp> {
  const sessions = new Map<string, StreamableHTTPServerTransport>();
  const endings: (() => Promise<void>)[] = [];
  const openSession = async () => {
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => void sessions.set(id, transport),
      enableDnsRebindingProtection: true,
      allowedHosts: [new URL(url).host, `localhost:${new URL(url).port}`],
    });
    const { server, close } = await createMcpServer(world, request, "all");
    endings.push(close);
    await server.connect(transport as never);
    return transport;
  };
  const http = createServer(async (incoming, answer) => {
    const session = sessions.get(String(incoming.headers["mcp-session-id"]));
    await (session ?? (await openSession())).handleRequest(incoming, answer);
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`;
  return {
    url,
    async end() {
      for (const end of endings) await end();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}
