/**
 * One call in a history: `from` and `to` are when it began and when its answer came, on one clock for all. Without `to`
 * nobody knows the answer, nor whether it took effect: its process was killed.
 */
export interface Call<Op> {
  op: Op;
  from: bigint;
  to?: bigint;
}

/**
 * What a call may lead to from a state: the states after it, if its answer fits; `[]` if it does not. A call whose answer
 * nobody knows fits wherever it could have taken effect. The very state that was given stands for a call whose answer says
 * that it changed nothing: such a call never changes anything, in whatever state it fits.
 */
export type Step<State, Op> = (state: State, op: Op) => readonly State[];

interface Possibility<State> {
  state: State;
  /** Calls under way that have taken effect already. */
  done: ReadonlySet<number>;
}

/**
 * The first call after which no order of the calls explains all answers so far; undefined if one order explains the whole
 * history. An order must keep what is known of time: a call that was answered before another began comes first. Follows
 * Lowe, "Testing for linearizability" (2017): keeps every state that is possible, and lets calls take effect only when an
 * answer requires it.
 */
export function firstUnexplained<State, Op>(
  calls: readonly Call<Op>[],
  start: State,
  step: Step<State, Op>,
): Call<Op> | undefined {
  const moments = calls
    .flatMap(({ from, to }, call) => [
      { at: from, call, isEnd: false },
      ...(to === undefined ? [] : [{ at: to, call, isEnd: true }]),
    ])
    .sort((a, b) => Number(a.at - b.at) || Number(a.isEnd) - Number(b.isEnd));
  const open = new Set<number>();
  let possible: Possibility<State>[] = [{ state: start, done: new Set() }];
  for (const { call, isEnd } of moments) {
    if (!isEnd) open.add(call);
    if (!isEnd) continue;
    possible = untilDone(possible, call, (state, one) => step(state, (calls[one] as Call<Op>).op), open);
    if (possible.length === 0) return calls[call];
    open.delete(call);
  }
  return undefined;
}

/** Every possibility in which `target` has taken effect, as late as can be. */
function untilDone<State>(
  possible: readonly Possibility<State>[],
  target: number,
  step: (state: State, call: number) => readonly State[],
  open: ReadonlySet<number>,
): Possibility<State>[] {
  const seen = new Set<string>();
  const found = new Map<string, Possibility<State>>();
  const work = [...possible];
  for (let next = work.pop(); next !== undefined; next = work.pop()) {
    const { state, done } = withIdle(next, step, open);
    if (done.has(target)) {
      const rest = new Set(done);
      rest.delete(target);
      found.set(keyOf({ state, done: rest }), { state, done: rest });
      continue;
    }
    if (seen.size === seen.add(keyOf({ state, done })).size) continue;
    for (const call of open) {
      if (done.has(call)) continue;
      for (const after of step(state, call)) work.push({ state: after, done: new Set([...done, call]) });
    }
  }
  return [...found.values()];
}

/** Lets calls take effect that fit now and change nothing: no order needs them later. */
function withIdle<State>(
  { state, done }: Possibility<State>,
  step: (state: State, call: number) => readonly State[],
  open: ReadonlySet<number>,
): Possibility<State> {
  const idle = [...open].filter((call) => !done.has(call) && step(state, call).some((after) => after === state));
  return idle.length === 0 ? { state, done } : { state, done: new Set([...done, ...idle]) };
}

const keyOf = <State>({ state, done }: Possibility<State>) =>
  `${JSON.stringify(state)} ${[...done].sort((a, b) => a - b)}`;
