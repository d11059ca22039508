import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What was posted to a fake ntfy server. */
export interface Posted {
  path: string;
  body: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests reach into it
  json: any;
}

export interface Ntfy {
  url: string;
  posted: Posted[];
  end(): Promise<void>;
}

/** An ntfy server that takes everything, or answers as it is told. */
export async function fakeNtfy(answer: (response: ServerResponse) => void = (it) => it.end("{}")): Promise<Ntfy> {
  const posted: Posted[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      const body = Buffer.concat(parts).toString("utf8");
      posted.push({ path: `${request.method} ${request.url}`, body, json: JSON.parse(body) });
      answer(response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    posted,
    end: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
