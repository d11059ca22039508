import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/** Where a process lives: from another place it can be neither seen nor ended. */
export interface Place {
  host: string;
  /** The machine and its present start, `<machine id>/<boot id>`, with `-` for what the system does not tell. */
  boot: string;
  /** The namespace of its process ids, or `-`. */
  namespace: string;
}

const here: Place = {
  host: hostname(),
  boot: `${fact(() => readFileSync("/etc/machine-id", "utf8"))}/${fact(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8"))}`,
  namespace: fact(() => readlinkSync("/proc/self/ns/pid")),
};

/** The place of this process. */
export const placeHere = (): Place => here;

/**
 * What can be seen from here of a place: all of it; nothing, as its machine was restarted and it is gone; or nothing,
 * although it may be there. A host may change its name while it runs.
 */
export function sightOf({ host, boot, namespace }: Place): "all" | "ended" | "none" {
  if (boot.endsWith("/-")) return host === here.host ? "all" : "none";
  if (boot === here.boot) return namespace === here.namespace ? "all" : "none";
  return host === here.host && boot.split("/")[0] === here.boot.split("/")[0] ? "ended" : "none";
}

/** A place as one word. */
export function placeText({ host, boot, namespace }: Place): string {
  return `${host}@${boot}@${namespace}`;
}

/** The place of such a word; older versions wrote the host alone. */
export function placeIn(word: string): Place {
  const [host = "", boot = "-/-", namespace = "-"] = word.split("@");
  return { host, boot, namespace };
}

function fact(read: () => string): string {
  try {
    return read().trim() || "-";
  } catch {
    return "-";
  }
}
