import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Observation, observeAgents } from "../agents/status/observe.js";
import type { Reader } from "../db/schema.js";
import { counted, qualifiedName } from "../names.js";
import { createNotifier, lastEvent, type NoticeKind, type Notifier } from "../notify/notify.js";
import { writeWhole } from "../whole-file.js";
import type { Wait, WaitCode } from "./decide.js";
import type { DispatchWorld } from "./dispatch.js";
import { type Escalation, HOLD_OPS, listEscalations } from "./escalation.js";
import { brakeReason, releaseLine, type Scene } from "./facts.js";
import { stalePrices } from "./prices.js";

/** What a beat found that a person may have to know of. */
export interface Situation {
  wait: readonly Wait[];
  /** Something runs, lands or is tried again by itself. */
  isBusy: boolean;
  /** Why the brake was put on, if this beat did. */
  brake: string | null;
}

/** Keeps people informed of one dispatcher's work. */
export interface Attendant {
  attend(scene: Scene, situation: Situation): Promise<void>;
  /** Waits for the notices that are under way. */
  end(): Promise<void>;
}

export interface AttendOptions {
  /** Only a loop can be idle; a drain ends instead. */
  canIdle: boolean;
  everyMs: number;
  say(text: string): void;
}

/** What keeps work waiting until a person acts, or a day or a limit ends. */
const STALLS: ReadonlySet<WaitCode> = new Set([
  ...(["killed", "held", "role_disabled", "task_budget", "role_cap", "project_ceiling"] as const),
  ...(["provider_limit", "unknown_role"] as const),
]);

const SPELLS = ["notify.idle", "notify.stalled", "notify.back"];

/** Sends notices once for each cause, and keeps the file that asks for a person. Faults are only those of the database. */
export async function createAttendant(world: DispatchWorld, options: AttendOptions): Promise<Attendant> {
  const { context } = world;
  const { db } = context.store;
  const notifier = createNotifier(world, world.terminal);
  const { workstream } = await world.scene();
  const last = await lastEvent(db, workstream.name, SPELLS);
  let spell: "idle" | "stalled" | null = spellOf(last);
  let emptySince: number | undefined;
  let known = new Set<string>();
  let asking = new Map<string, string>();
  let nextLook = 0;
  let problem: string | null = null;
  let prices = await stalePrices(world);
  if (prices !== null) options.say(prices);

  /** One notice when nothing has been there to do for as long as the settings say, and one when work resumes. */
  const watchSpell = async (scene: Scene, { wait, isBusy }: Situation) => {
    const now = context.clock.now().getTime();
    emptySince = isBusy ? undefined : Math.min(emptySince ?? now, now);
    const { name } = scene.workstream;
    if (isBusy) {
      if (spell === null) return;
      const isNews = async (tx: Reader) => spellOf(await lastEvent(tx, name, SPELLS)) !== null;
      const message = "Work goes on.";
      if (await notifier.notify(scene, { kind: "back", title: `${name} is back online`, message }, isNews))
        options.say("Back online.");
      spell = null;
      return;
    }
    const least = (scene.settings.dispatch.idleThresholdPolls - 1) * options.everyMs;
    if (!options.canIdle || spell !== null || now - (emptySince ?? now) < least) return;
    const text = stallText(wait);
    spell = text === null ? "idle" : "stalled";
    const message = text ?? "Nothing is ready and nothing runs. Add tasks, or stop the dispatcher.";
    const isNews = async (tx: Reader) => spellOf(await lastEvent(tx, name, SPELLS)) === null;
    if (await notifier.notify(scene, { kind: spell, title: `${name} is ${spell}`, message }, isNews))
      options.say(`${spell === "idle" ? "Idle" : "Stalled"}: ${message}`);
  };

  const watchHolds = async (scene: Scene, open: readonly Escalation[]) => {
    const keyOf = ({ task, hold, attempts }: Escalation) => `${task} ${hold} ${attempts}`;
    for (const one of open.filter((each) => !known.has(keyOf(each)))) {
      const subject = qualifiedName({ workstream: one.workstream, name: one.task });
      const isNews = async (tx: Reader) =>
        (await lastEvent(tx, one.workstream, [...HOLD_OPS, "notify.escalated"], subject))?.op !== "notify.escalated";
      if (!(await isNews(db))) continue;
      const message = `${one.reason ?? ""}\n${one.file ?? `mu task show ${subject}`}`.trim();
      await notifier.notify(
        scene,
        { kind: "escalated", subject, title: `${subject} needs you (${one.hold})`, message },
        isNews,
      );
    }
    known = new Set(open.map(keyOf));
  };

  const watchAgents = async (scene: Scene) => {
    const now = context.clock.now().getTime();
    if (world.transport === "child" || (now < nextLook && now > nextLook - options.everyMs)) return;
    nextLook = now + options.everyMs;
    const seen = (await observeAgents(world, { workstream: scene.workstream.name })).filter(asksPerson);
    for (const one of seen) if (asking.get(one.agent) !== one.since) await tellQuestion(notifier, scene, one);
    asking = new Map(seen.map(({ agent, since }) => [agent, since]));
  };

  return {
    async attend(scene, situation) {
      const { name } = scene.workstream;
      if (situation.brake !== null) {
        const title = `${name}: the brake is on`;
        await notifier.notify(scene, { kind: "brake", title, message: `${situation.brake}\n${releaseLine(scene)}` });
      }
      const open = await listEscalations(db, scene);
      await watchHolds(scene, open);
      await watchSpell(scene, situation);
      await watchAgents(scene).catch((error: Error) => options.say(`Agents cannot be seen: ${error.message}`));
      if (prices !== null) prices = await stalePrices(world);
      const lines = attentionLines(scene, open, { spell, wait: situation.wait, prices });
      const found = await keepFile(scene, lines);
      if (found !== null && found !== problem) options.say(found);
      problem = found;
    },
    end: () => notifier.settled(),
  };
}

/** One notice for what an agent asks, however many look: `false` if people know. */
export function tellQuestion(
  notifier: Notifier,
  { workstream: { name }, settings }: Pick<Scene, "workstream" | "settings">,
  { agent, status, reason, since }: Pick<Observation, "agent" | "status" | "reason" | "since">,
): Promise<boolean> {
  const subject = qualifiedName({ workstream: name, name: agent });
  const title = `${subject} ${status === "needs_permission" ? "asks for permission" : "needs an answer"}`;
  const isNews = async (tx: Reader) => (await lastEvent(tx, name, ["notify.asks"], subject))?.payload["key"] !== since;
  const sender = { workstream: { name }, settings };
  return notifier.notify(sender, { kind: "asks", subject, key: since, title, message: reason ?? "" }, isNews);
}

function spellOf(event: { op: string } | undefined): "idle" | "stalled" | null {
  const kind = event?.op.split(".")[1] as NoticeKind | undefined;
  return kind === "idle" || kind === "stalled" ? kind : null;
}

/** Whether an agent waits for a person. */
export const asksPerson = ({ status }: Pick<Observation, "status">) =>
  status === "needs_permission" || status === "needs_input";

/** What keeps all work waiting, most tasks first; null if nothing does that a person could change. */
export function stallText(wait: readonly Wait[]): string | null {
  const stalled = wait.filter(({ code }) => STALLS.has(code));
  const reasons = new Map<string, string[]>();
  for (const { task, why } of stalled) reasons.set(why, [...(reasons.get(why) ?? []), task]);
  const parts = [...reasons].sort(([, a], [, b]) => b.length - a.length);
  if (parts.length === 0) return null;
  const shown = parts.slice(0, 5).map(([why, [first = "", ...more]]) => {
    return `${first}${more.length > 0 ? ` and ${more.length} more` : ""}: ${why}`;
  });
  const rest = parts.length > 5 ? [`and ${parts.length - 5} other reasons`] : [];
  return [`${counted(stalled.length, "task")} cannot start.`, ...shown, ...rest].join("\n");
}

function attentionLines(
  scene: Scene,
  open: readonly Escalation[],
  { spell, wait, prices }: { spell: string | null; wait: readonly Wait[]; prices: string | null },
): string[] {
  const { name } = scene.workstream;
  const brake = brakeReason(scene);
  const stall = stallText(wait)?.replaceAll("\n", "\n  ");
  return [
    ...(brake === null ? [] : [`The brake is on: ${brake}. Take it off: \`${releaseLine(scene)}\``]),
    ...open.map(
      ({ task, hold, reason }) => `${task} is held (${hold}): ${reason ?? ""} \`mu task requeue ${name}/${task}\``,
    ),
    ...(spell === null ? [] : [stall === undefined ? "Idle: nothing is ready and nothing runs." : `Stalled: ${stall}`]),
    ...(prices === null ? [] : [prices]),
  ];
}

/** Writes the file of what needs a person, or removes it; gives what is wrong if it cannot. */
async function keepFile(
  { workstream: { name, root }, settings }: Scene,
  lines: readonly string[],
): Promise<string | null> {
  if (root === null) return null;
  const path = join(root, settings.paths.needsAttention);
  try {
    if (lines.length === 0) {
      if (existsSync(path)) await rm(path, { force: true });
      return null;
    }
    const text = `# ${name} needs attention\n\n${lines.map((line) => `- ${line}`).join("\n")}\n\nSee \`mu inbox -w ${name}\`.\n`;
    if ((await readFile(path, "utf8").catch(() => undefined)) !== text) await writeWhole(path, text, 0o644);
    return null;
  } catch (error) {
    return `${path} cannot be written (${(error as NodeJS.ErrnoException).code}).`;
  }
}
