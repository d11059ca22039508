import type { Clock } from "../../src/clock.js";

/** A process of the simulation. One that is killed never goes on from where it waits. */
export interface Actor {
  name: string;
  identity: string;
  isAlive: boolean;
}

interface Entry {
  at: number;
  order: number;
  actor: Actor;
  resume(): void;
}

/**
 * Time that passes only while everybody waits. One actor works at a time, until it waits again, so a run depends on
 * nothing but its seed, however long the real work takes.
 */
export class Timeline {
  /** True time, in ms. */
  now: number;
  /** How far the clock on the wall is beside it, in ms. */
  skew = 0;
  #entries: Entry[] = [];
  #order = 0;
  #park = () => {};
  #error: unknown;

  constructor(now: number) {
    this.now = now;
  }

  clockOf(actor: Actor): Clock {
    return {
      now: () => new Date(this.now + this.skew),
      sleep: (ms, signal) => this.#sleep(actor, ms, signal),
    };
  }

  pause(actor: Actor, ms: number): Promise<void> {
    return this.#sleep(actor, ms);
  }

  /** Kills the actor that works now, where it is. */
  die(actor: Actor): Promise<never> {
    actor.isAlive = false;
    this.#park();
    return new Promise(() => {});
  }

  start(actor: Actor, inMs: number, work: () => Promise<unknown>): void {
    this.#add(actor, this.now + inMs, () => {
      work().then(
        () => {
          actor.isAlive = false;
          this.#park();
        },
        (error) => {
          this.#error ??= error;
          this.#park();
        },
      );
    });
  }

  /** Calls `work`, which does not wait, a little later. */
  soon(actor: Actor, inMs: number, work: () => void): void {
    this.#add(actor, this.now + inMs, () => {
      work();
      this.#park();
    });
  }

  /** Lets everybody work in turn until `isOver`, which is asked after every step. */
  async run(isOver: () => Promise<boolean>): Promise<void> {
    while (!(await isOver())) {
      const next = this.#take();
      if (next === undefined) throw new Error("everybody waits for ever");
      if (!next.actor.isAlive) continue;
      this.now = Math.max(this.now, next.at);
      await new Promise<void>((resolve) => {
        this.#park = resolve;
        next.resume();
      });
      if (this.#error !== undefined) throw this.#error;
    }
  }

  #sleep(actor: Actor, ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        entry.at = this.now;
      };
      const entry = this.#add(actor, this.now + ms, () => {
        signal?.removeEventListener("abort", wake);
        resolve();
      });
      signal?.addEventListener("abort", wake, { once: true });
      this.#park();
    });
  }

  #add(actor: Actor, at: number, resume: () => void): Entry {
    const entry = { at, order: this.#order++, actor, resume };
    this.#entries.push(entry);
    return entry;
  }

  #take(): Entry | undefined {
    let first = 0;
    for (let at = 1; at < this.#entries.length; at++) {
      const [one, best] = [this.#entries[at] as Entry, this.#entries[first] as Entry];
      if (one.at < best.at || (one.at === best.at && one.order < best.order)) first = at;
    }
    return this.#entries.splice(first, 1)[0];
  }
}
