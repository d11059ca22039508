import * as z from "zod";
import { backoff } from "../agents/delivery/deliver.js";
import { drainAgent, drainDeliveries, pullDelivery, reviewDeliveries } from "../agents/delivery/drain.js";
import { cancelDelivery, DELIVERY, listDeliveries, STATES, showDelivery } from "../agents/delivery/outbox.js";
import { retryDelivery } from "../agents/delivery/send.js";
import { localTime } from "../clock.js";
import { counted } from "../names.js";
import { type App, defineOperation, excerpt, excerptOf, NEXT_STEPS, schemaOf, step, withTotal } from "./define.js";
import { agentField, durationField, field, flag, limitField, personField, workstreamField } from "./fields.js";
import { drainLater, sentExitCode, sentLine } from "./sent.js";

export const deliveryList = defineOperation({
  name: "delivery.list",
  summary: "List sent prompts and their states",
  effect: "read",
  reconcile: "by itself",
  input: () => ({
    workstream: workstreamField(),
    agent: personField("Only deliveries to this agent").optional(),
    state: field(z.array(z.enum(STATES)).min(1).optional(), "Only deliveries in these states"),
    limit: limitField(50, "Only the newest; 0 means all"),
  }),
  output: excerptOf(DELIVERY),
  examples: [
    { command: "mu delivery list --state queued", shows: "prompts still in the queue" },
    { command: "mu delivery list --state lost", shows: "an unknown state", fault: "usage.invalid_input" },
  ],
  async run(app, { workstream, agent, state, limit }) {
    await reviewDeliveries(await app.crew(), { workstream });
    const filter = { workstream, agent: agent?.name, states: state, limit: 0 };
    return excerpt(await listDeliveries(app.context.store.db, filter), limit);
  },
  render: (found, paint) => {
    const table = paint.list(found.items, "No prompts.", [
      { head: "id", text: (item) => String(item.id), align: "right" },
      { head: "to", text: (item) => item.agent },
      { head: "by", text: (item) => item.sender },
      { head: "state", text: (item) => item.state },
      { head: "when", text: (item) => `${paint.ago(item.createdAt)} ago` },
      { head: "text", text: (item) => item.text, max: 40 },
      { head: "why", text: (item) => item.reason ?? "", max: 40 },
    ]);
    return withTotal(table, found, paint);
  },
});

/** What the verbs about one delivery take. */
const idField = () => field(z.number().int().min(1), "Delivery number");

export const deliveryShow = defineOperation({
  name: "delivery.show",
  summary: "Show one prompt and its state",
  effect: "read",
  reconcile: "by itself",
  input: () => ({ id: idField() }),
  output: { delivery: DELIVERY },
  positional: ["id"],
  examples: [
    { command: "mu delivery show 1", shows: "one prompt and its state" },
    { command: "mu delivery show 999", shows: "no such delivery", fault: "delivery.not_found" },
    { command: "mu delivery show first", shows: "not a number", fault: "usage.invalid_input" },
  ],
  async run(app, { id }) {
    await reviewDeliveries(await app.crew(), { id });
    return { delivery: await showDelivery(app.context.store.db, id) };
  },
  render: ({ delivery }, paint) => [
    `Delivery ${delivery.id} to ${paint.bold(delivery.agent)} by ${delivery.sender}: ${delivery.state}${delivery.reason ? ` (${delivery.reason})` : ""}`,
    `  created ${localTime(delivery.createdAt)}, typed ${orNever(delivery.pastedAt)}, proved ${orNever(delivery.provedAt)}`,
    "",
    delivery.text,
  ],
});

const orNever = (moment: string | null) => (moment === null ? "never" : localTime(moment));

export const deliveryCancel = defineOperation({
  name: "delivery.cancel",
  summary: "Cancel a queued prompt",
  effect: "write",
  journalled: false,
  input: () => ({ id: idField() }),
  output: { delivery: DELIVERY },
  positional: ["id"],
  examples: [
    { command: "mu delivery cancel 2", shows: "cancel a queued prompt" },
    { command: "mu delivery cancel 999", shows: "no such delivery", fault: "delivery.not_found" },
    { command: "mu delivery cancel", shows: "no delivery given", fault: "usage.missing_argument" },
  ],
  run: async ({ context }, { id }) => ({ delivery: await cancelDelivery(context, id) }),
  next: (_, { id }) => [step("Send it anyway", `mu delivery retry ${id}`)],
  render: ({ delivery }) => `Delivery ${delivery.id} is ${delivery.state}`,
});

export const deliveryRetry = defineOperation({
  name: "delivery.retry",
  summary: "Resend a prompt that is not proved",
  description:
    "First looks for evidence that it arrived meanwhile: then nothing is typed. Refused while its receiver has not read what was typed.",
  effect: "write",
  acts: ["runs"],
  journalled: false,
  input: () => ({ id: idField(), timeout: durationField("How long to wait").prefault("60s") }),
  output: { delivery: DELIVERY },
  positional: ["id"],
  examples: [
    { command: "mu delivery retry 3", shows: "send a cancelled prompt" },
    { command: "mu delivery retry 999", shows: "no such delivery", fault: "delivery.not_found" },
    { command: "mu delivery retry", shows: "no delivery given", fault: "usage.missing_argument" },
  ],
  async run(app, { id, timeout: timeoutMs }) {
    const { workstream, agent: name } = await showDelivery(app.context.store.db, id);
    const retrying = retryDelivery(await app.crew(), id, { timeoutMs, signal: app.request.signal });
    return { delivery: await retrying.catch(drainLater(app, { workstream, name })) };
  },
  exitCode: ({ delivery }) => sentExitCode(delivery),
  next: ({ delivery }) => [step("Read its screen", `mu agent read ${delivery.workstream}/${delivery.agent}`)],
  render: ({ delivery }, paint) => sentLine(delivery, paint),
});

export const deliveryDrain = defineOperation({
  name: "delivery.drain",
  summary: "Deliver queued prompts",
  description:
    "Types queued prompts into the agents that are ready. With --agent, it keeps typing to that one until its queue is empty or --wait is over; another such process for it ends at once. With --hook, an agent's stop hook asks for its next prompt, which is printed as the hook's answer; nothing is printed if the queue is empty.",
  effect: "write",
  acts: ["runs"],
  journalled: false,
  unadopted: true,
  input: () => ({
    workstream: workstreamField("any"),
    agent: agentField("Only this agent, until its queue is empty").optional(),
    wait: durationField("With --agent: how long at most").prefault("60s"),
    hook: flag("Answer an agent's stop hook"),
  }),
  output: () =>
    z.union([
      schemaOf({ items: [DELIVERY], count: "number", nextSteps: NEXT_STEPS }),
      schemaOf({ decision: ["block"], reason: "string" }),
      z.null(),
    ]),
  examples: [
    { command: "mu delivery drain", shows: "type the queued prompts" },
    { command: "mu delivery drain --now", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  async run(app, { workstream, agent, wait, hook }) {
    if (hook) return answerHook(app);
    const crew = await app.crew();
    const items =
      agent === undefined
        ? await drainDeliveries(crew, { workstream })
        : await drainAgent(crew, agent, backoff(200, 2_000, wait, app.request.signal));
    return { items, count: items.length, nextSteps: [step("List the deliveries", "mu delivery list")] };
  },
  render: (result) => {
    if (result === null) return "";
    if (!("items" in result)) return JSON.stringify(result);
    return `${counted(result.items.length, "prompt")} delivered or settled`;
  },
});

/**
 * A hook that caused this turn must not ask again, or the agent would never stop; a hook of another conversation in the
 * agent's pane gets nothing.
 */
async function answerHook(app: App): Promise<{ decision: "block"; reason: string } | null> {
  const { caller, request } = app;
  const asked = (await request.stdin?.().catch(() => "")) ?? "";
  if (caller.incarnation === null || /"stop_hook_active"\s*:\s*true/.test(asked)) return null;
  const [, session] = /"session_id"\s*:\s*"([^"]*)"/.exec(asked) ?? [];
  const delivery = await pullDelivery(await app.crew(), caller.incarnation, session);
  return delivery === undefined ? null : { decision: "block", reason: delivery.text };
}
