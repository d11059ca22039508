import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Context, Next } from "hono";
import { getCookie, setCookie } from "hono/cookie";

/** Who may ask the server, and from which page. */
export interface Access {
  /** Of this process: whoever has it may come in. */
  token: string;
  /** The cookie that stands for it; its name has the port in it, as a browser gives one to all ports of a host. */
  cookie: string;
  /** What `Host` and `Origin` may be. */
  hosts: ReadonlySet<string>;
  origins: ReadonlySet<string>;
}

/** Access over loopback on `port`, and by the address of a tunnel that a person has set up. */
export function newAccess(port: number, publicUrl: string): Access {
  const hosts = ["127.0.0.1", "localhost", "[::1]"].map((host) => `${host}:${port}`);
  const outside = publicUrl === "" ? undefined : new URL(publicUrl);
  return {
    token: randomBytes(24).toString("base64url"),
    cookie: `mu_${port}`,
    hosts: new Set([...hosts, ...(outside ? [outside.host] : [])]),
    origins: new Set([...hosts.map((host) => `http://${host}`), ...(outside ? [outside.origin] : [])]),
  };
}

const SAFE = new Set(["GET", "HEAD"]);
const YEAR_S = 31_536_000;

/** Lets in whoever asks the right host, from this server's own page, and has the token; everything else ends here. */
export const guard = (access: Access) => async (c: Context, next: Next) => {
  if (!access.hosts.has(c.req.header("host") ?? "")) return c.text("This host is not served here.", 403);
  const origin = c.req.header("origin");
  const bearer = /^Bearer (.+)$/.exec(c.req.header("authorization") ?? "")?.[1];
  const isForeign = origin === undefined ? bearer === undefined : !access.origins.has(origin);
  if (!SAFE.has(c.req.method) && isForeign) return c.text("Another page may not ask for this.", 403);
  const { token: offered, ...rest } = c.req.query();
  if (offered !== undefined && c.req.method === "GET") return enter(c, access, offered, rest);
  const given = bearer ?? getCookie(c, access.cookie);
  if (given !== undefined && isSame(given, access.token)) return next();
  return stranger(c);
};

/** The address with the token is for the first visit: the browser keeps a cookie instead, and the address loses it. */
function enter(c: Context, { token, cookie }: Access, offered: string, rest: Record<string, string>) {
  if (!isSame(offered, token)) return c.text("That is not the token of this mu ui: it has been started again.", 401);
  setCookie(c, cookie, token, { httpOnly: true, sameSite: "Strict", path: "/", maxAge: YEAR_S });
  const query = new URLSearchParams(rest).toString();
  return c.redirect(`${c.req.path}${query ? `?${query}` : ""}`, 302);
}

/**
 * A browser that follows a link of another page leaves the cookie out, though it has it: so the page asks for itself again,
 * once.
 */
function stranger(c: Context) {
  const isPage = c.req.header("accept")?.includes("text/html") === true;
  const text = "Open the address that mu ui has printed.";
  if (!isPage || c.req.query("again") !== undefined) return c.text(text, 401);
  const again = `${c.req.path}?${new URLSearchParams({ ...c.req.query(), again: "1" })}`;
  const refresh = `<meta http-equiv="refresh" content="0;url=${again.replaceAll("&", "&amp;").replaceAll('"', "&quot;")}">`;
  return c.html(`<!doctype html><title>mu</title>${refresh}<p>${text}`, 401);
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [one, other].map((text) => createHash("sha256").update(text).digest());
  return timingSafeEqual(a as Buffer, b as Buffer);
}
