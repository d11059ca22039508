/** A server turns a longer message into an attachment, in bytes. */
const MOST_BYTES = 4096;
const TIMEOUT_MS = 5_000;

export interface Push {
  topic: string;
  title: string;
  message: string;
  priority: number;
  tags: readonly string[];
  /** Where a tap on it leads. */
  click?: string | undefined;
}

/** Sends a push through an ntfy server; gives why it failed, without the topic. */
export async function push(url: string, message: Push): Promise<string | null> {
  try {
    const { ok, status } = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: pushBody(message),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return ok ? null : `the server answered ${status}`;
  } catch (error) {
    const { name, cause } = error as Error & { cause?: { code?: string } };
    return name === "TimeoutError" ? `no answer within ${TIMEOUT_MS / 1000} s` : (cause?.code ?? name);
  }
}

/** The JSON of a push, its message cut so that all of it fits. */
export function pushBody({ topic, title, message, priority, tags, click }: Push): string {
  const bodyOf = (text: string) => JSON.stringify({ topic, title, message: text, priority, tags, click });
  let left = [...message];
  let body = bodyOf(message);
  for (let over = excess(body); over > 0 && left.length > 0; over = excess(body)) {
    // A character takes at most twelve bytes.
    left = left.slice(0, -Math.max(1, Math.floor(over / 12)));
    body = bodyOf(`${left.join("")}…`);
  }
  return body;
}

const excess = (body: string) => Buffer.byteLength(body) - MOST_BYTES;
