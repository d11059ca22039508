import { sendNotice } from "../notify/notify.js";
import { cutTopic } from "../project/read.js";
import { defineOperation, step } from "./define.js";
import { sceneOf } from "./dispatch/world.js";
import { workstreamField } from "./fields.js";

export const notifyTest = defineOperation({
  name: "notify.test",
  summary: "Send a test notice to see whether notices arrive",
  description:
    "Goes out as the dispatcher's notices do: as a push through ntfy if the settings have a topic, on the desktop and as a bell if they say so. Exits 5 if the push fails.",
  effect: "write",
  journalled: false,
  repeatable: true,
  outward: true,
  input: () => ({ workstream: workstreamField() }),
  output: {
    ...{ pushed: "boolean", desktop: "boolean", bell: "boolean", problem: "string | null" },
    server: "string",
    /** Cut; empty for none. */
    topic: "string",
  },
  examples: [
    { command: "mu notify test", shows: "a notice on your phone" },
    { command: "mu notify test -w nowhere", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  async run(app, { workstream }) {
    const scene = await sceneOf(app, workstream);
    const { ntfyTopic, ntfyUrl: server } = scene.settings.notifications;
    const notice = { kind: "test", title: `${workstream}: test`, message: "Notices of mu arrive here." } as const;
    const sent = await sendNotice(await app.crew(), scene, notice, app.request.terminal?.ring);
    return { ...sent, server, topic: cutTopic(ntfyTopic) };
  },
  next: ({ problem }, { workstream }) =>
    problem === null ? [] : [step("See the settings", `mu workstream show ${workstream}`)],
  exitCode: ({ problem }) => (problem === null ? 0 : 5),
  render: ({ pushed, desktop, bell, problem, server, topic }) => [
    pushed && `Pushed to ${topic} at ${server}.`,
    problem !== null && `Not pushed to ${topic} at ${server}: ${problem}.`,
    topic === "" && "Not pushed: notifications.ntfyTopic is empty.",
    desktop && "Shown on the desktop.",
    bell && "Rang the bell.",
  ],
});
