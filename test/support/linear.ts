import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A request as it came to a fake Linear. */
export interface Asked {
  method: string | undefined;
  authorization: string | undefined;
  contentType: string | undefined;
  query: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests reach into it
  variables: any;
}

type Answer = (asked: Asked, response: ServerResponse) => void;

export interface FakeLinear {
  url: string;
  asked: Asked[];
  /** Answers from now on; without it, as Linear does of issue ENG-7. */
  answer(answer: Answer | undefined): void;
  end(): Promise<void>;
}

export const ISSUE_7 = {
  ...{ identifier: "ENG-7", title: "Add a dark mode", url: "https://linear.app/acme/issue/ENG-7" },
  description: "For the night.\n\n# Not a title",
};

const json = (response: ServerResponse, status: number, value: unknown) =>
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));

/** Answers with this JSON. */
export const answering =
  (value: unknown, status = 200): Answer =>
  (_, response) =>
    json(response, status, value);

const standard: Answer = ({ query, variables }, response) => {
  const { description: _, ...issue } = ISSUE_7;
  if (query.startsWith("query")) json(response, 200, { data: { issue: { ...ISSUE_7, identifier: variables.id } } });
  else if (query.includes("issueCreate"))
    json(response, 200, {
      data: { issueCreate: { success: true, issue: { ...issue, identifier: "ENG-8", title: variables.input.title } } },
    });
  else json(response, 200, { data: { issueUpdate: { success: true, issue: { ...issue, identifier: variables.id } } } });
};

/** A GraphQL server that notes what it is asked. */
export async function fakeLinear(): Promise<FakeLinear> {
  const asked: Asked[] = [];
  let answer = standard;
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      const { query, variables } = JSON.parse(Buffer.concat(parts).toString("utf8"));
      const { authorization, "content-type": contentType } = request.headers;
      const one = { method: request.method, authorization, contentType, query, variables };
      asked.push(one);
      answer(one, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`,
    asked,
    answer: (next = standard) => {
      answer = next;
    },
    end: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
