/** What a check said of a prefix of a batch. */
export interface Answer {
  green: boolean;
}

/** What is wrong with a batch, if anything: `good` tasks from its start are green together, the next one is red. */
export type Judgement<A extends Answer> =
  | { outcome: "green" }
  | { outcome: "culprit"; good: number; answer: A }
  | { outcome: "target_red"; answer: A };

/**
 * Finds the first of `count` tasks with which a check turns red. The whole batch is asked first, a red answer twice:
 * a check that is green the second time blames nobody. Then the bare target (0 tasks), then halves: about log2(count)
 * answers more. Nobody is blamed for less than two red answers with it and a green one without it.
 */
export async function judge<A extends Answer>(
  count: number,
  ask: (tasks: number) => Promise<A>,
): Promise<Judgement<A>> {
  if ((await ask(count)).green) return { outcome: "green" };
  const whole = await ask(count);
  if (whole.green) return { outcome: "green" };
  if (!(await ask(0)).green) {
    const bare = await ask(0);
    if (!bare.green) return { outcome: "target_red", answer: bare };
  }
  for (let good = 0; ; ) {
    const found = await halve({ good, red: count, answer: whole }, ask);
    const again = found.red === count ? whole : await ask(found.red);
    if (!again.green) return { outcome: "culprit", good: found.good, answer: again };
    good = found.red;
  }
}

interface Range<A> {
  /** So many are green, so many are red. */
  good: number;
  red: number;
  answer: A;
}

async function halve<A extends Answer>(range: Range<A>, ask: (tasks: number) => Promise<A>): Promise<Range<A>> {
  let { good, red, answer } = range;
  while (red - good > 1) {
    const middle = (good + red) >> 1;
    const found = await ask(middle);
    if (found.green) good = middle;
    else [red, answer] = [middle, found];
  }
  return { good, red, answer };
}
