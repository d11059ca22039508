import type { Reader } from "../db/schema.js";
import { type Tx, write } from "../db/write.js";
import type { Host } from "../host.js";
import type { ProjectSettings } from "../project/settings.js";
import { redact, secretsIn } from "../redact.js";
import { ring, showOnDesktop, type Terminal } from "./desktop.js";
import { push } from "./ntfy.js";

/** What a notice is about; the event of one is `notify.<kind>`. */
export const NOTICES = {
  idle: { priority: 3, tags: ["zzz"] },
  stalled: { priority: 4, tags: ["hourglass"] },
  back: { priority: 2, tags: ["arrow_forward"] },
  escalated: { priority: 4, tags: ["raised_hand"] },
  brake: { priority: 5, tags: ["octagonal_sign"] },
  asks: { priority: 4, tags: ["question"] },
  test: { priority: 3, tags: ["wave"] },
} as const;

export type NoticeKind = keyof typeof NOTICES;

export interface Notice {
  kind: NoticeKind;
  title: string;
  message: string;
  /** `workstream/task` or `workstream/agent`; the workstream without it. */
  subject?: string;
  /** What distinguishes it from others of its kind and subject. */
  key?: string;
}

/** Whose notices these are, and where they go. */
export interface Sender {
  workstream: { name: string };
  settings: Pick<ProjectSettings, "notifications" | "ui">;
}

export interface Notifier {
  /**
   * Writes the notice's event, then sends it without being waited for; what fails is an event, never an error. False if
   * `isNews`, which is asked inside the write, says that it is known.
   */
  notify(sender: Sender, notice: Notice, isNews?: (db: Reader) => Promise<boolean>): Promise<boolean>;
  /** Resolves when nothing is being sent. */
  settled(): Promise<void>;
}

/** The only way by which people are told. */
export function createNotifier(host: Host, terminal?: Terminal): Notifier {
  const pending = new Set<Promise<unknown>>();
  return {
    async notify(sender, notice, isNews = async () => true) {
      const said = sayable(host, sender, notice);
      const isNew = await record(host, sender, notice.kind, notice.subject, async (tx) => {
        if (!(await isNews(tx.db))) return false;
        tx.addPayload({ title: said.title, ...(notice.key !== undefined && { key: notice.key }) });
        return true;
      });
      if (!isNew) return false;
      const sending: Promise<unknown> = send(host, sender, said, terminal)
        .then(async ({ problem }) => {
          const add = async (tx: Tx) => tx.addPayload({ kind: notice.kind, problem });
          if (problem !== null) await record(host, sender, "failed", notice.subject, add);
        })
        .catch(() => {})
        .finally(() => pending.delete(sending));
      pending.add(sending);
      return true;
    },
    async settled() {
      await Promise.all(pending);
    },
  };
}

/** How a notice went out. */
export interface Sent {
  pushed: boolean;
  desktop: boolean;
  bell: boolean;
  /** Why it was not pushed, though there is a topic. */
  problem: string | null;
}

/** Sends a notice by all ways that the settings name, and waits. Nothing is thrown. */
export function sendNotice(host: Host, sender: Sender, notice: Notice, terminal?: Terminal): Promise<Sent> {
  return send(host, sender, sayable(host, sender, notice), terminal);
}

async function send(host: Host, sender: Sender, notice: Notice, terminal: Terminal): Promise<Sent> {
  const { notifications } = sender.settings;
  const { ntfyTopic: topic, ntfyUrl: url } = notifications;
  const bell = notifications.bell && ring(terminal);
  const [problem, desktop] = await Promise.all([
    topic === "" ? null : push(url, { topic, ...notice, ...NOTICES[notice.kind], click: linkOf(sender, notice) }),
    notifications.desktop && showOnDesktop(host, notice, terminal),
  ]);
  return { pushed: topic !== "" && problem === null, desktop, bell, problem };
}

/** The inbox of the page, where a person's tunnel leads to it. */
function linkOf({ workstream: { name }, settings }: Sender, { subject = name }: Notice): string | undefined {
  const { publicUrl } = settings.ui;
  const [, about] = /\/(.*)$/.exec(subject) ?? [];
  const path = [name, "inbox", ...(about === undefined ? [] : [about])].map(encodeURIComponent).join("/");
  return publicUrl === "" ? undefined : `${publicUrl}/${path}`;
}

/** A notice with its prefix, and without secrets. */
function sayable({ env }: Host, { settings }: Sender, notice: Notice): Notice {
  const clean = (text: string) => redact(text, secretsIn(env));
  const title = `${settings.notifications.subjectPrefix} ${notice.title}`.trim();
  return { ...notice, title: clean(title).slice(0, 200), message: clean(notice.message) };
}

function record<T>(
  host: Host,
  { workstream: { name } }: Sender,
  kind: string,
  subject = name,
  work: (tx: Tx) => Promise<T>,
) {
  return write(host.context, { op: `notify.${kind}`, scope: name, subject }, work);
}

/** The newest event of a workstream that is one of these; of one subject, if one is given. */
export async function lastEvent(db: Reader, scope: string, ops: readonly string[], subject?: string) {
  let query = db.selectFrom("events").select(["op", "at", "payload"]).where("scope", "=", scope).where("op", "in", ops);
  if (subject !== undefined) query = query.where("subject", "=", subject);
  const row = await query.orderBy("n", "desc").limit(1).executeTakeFirst();
  return row && { ...row, payload: JSON.parse(row.payload) as Record<string, unknown> };
}
