import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { OperatorError } from '../../operator/errors.ts';
import { type TurnResult, WorkQueue } from '../../operator/loops/work-queue.ts';
import { MemoryLog } from '../support/logs.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

interface Bench {
  readonly clock: VirtualClock;
  readonly log: MemoryLog;
  readonly queue: WorkQueue;
  /** Keys in the order in which their turns began, with the time since the start. */
  readonly turns: { key: string; atMs: number }[];
}

/** A queue on virtual time without jitter: `random` 1 gives the whole step. */
function aBench(process: (key: string) => Promise<TurnResult | void>, concurrency = 1): Bench {
  const clock = new VirtualClock(0);
  const log = new MemoryLog();
  const turns: Bench['turns'] = [];
  const queue = new WorkQueue({
    clock,
    log,
    random: () => 1,
    concurrency,
    process: async (key) => {
      turns.push({ key, atMs: clock.now() });
      return await process(key);
    },
  });
  return { clock, log, queue, turns };
}

/** A turn that ends when the test says so. */
function aGate(): { readonly opened: Promise<void>; readonly open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}

const keysOf = ({ turns }: Bench): string[] => turns.map(({ key }) => key);
const timesOf = ({ turns }: Bench): number[] => turns.map(({ atMs }) => atMs);

describe('a work queue', () => {
  test('gives each waiting key one turn, in the order of arrival, however often it was added', async () => {
    const bench = aBench(async () => undefined);
    for (const key of ['b', 'a', 'b', 'c', 'a']) bench.queue.add(key);
    expect(bench.queue.depth()).toBe(3);
    expect(bench.queue.isIdle()).toBe(false);

    bench.queue.start();
    await bench.clock.settle();

    expect(keysOf(bench)).toEqual(['b', 'a', 'c']);
    expect(bench.queue.isIdle()).toBe(true);
  });

  test('gives a key that is added during its own turn one more turn, after it', async () => {
    const gate = aGate();
    const bench = aBench(async () => await gate.opened, 2);
    bench.queue.start();
    bench.queue.add('a');
    await bench.clock.settle();
    bench.queue.add('a');
    bench.queue.add('a');
    await bench.clock.settle();
    expect(keysOf(bench)).toEqual(['a']);
    expect(bench.queue.depth()).toBe(1);

    gate.open();
    await bench.clock.advance(25);

    expect(keysOf(bench)).toEqual(['a', 'a']);
  });

  test('looks at a burst of changes together: a key rests after a turn, others do not wait for it', async () => {
    const bench = aBench(async () => undefined, 2);
    bench.queue.start();
    for (let change = 0; change < 9; change += 1) {
      bench.queue.add('a');
      await bench.clock.advance(5);
    }
    bench.queue.add('b');
    await bench.clock.settle();
    expect(keysOf(bench)).toEqual(['a', 'a', 'b']);
    await bench.clock.advance(25);
    expect(keysOf(bench)).toEqual(['a', 'a', 'b', 'a']);
  });

  test('gives a key that has rested its turn at once', async () => {
    const bench = aBench(async () => undefined, 2);
    bench.queue.start();
    bench.queue.add('a');
    await bench.clock.advance(25);
    expect(bench.clock.pending()).toBe(0);
    bench.queue.add('a');
    await bench.clock.settle();
    expect(keysOf(bench)).toEqual(['a', 'a']);
  });

  test('forgets what was to come later', async () => {
    const bench = aBench(async () => undefined, 2);
    bench.queue.start();
    bench.queue.addAfter('a', 1_000);
    bench.queue.forget('a');
    expect(bench.clock.pending()).toBe(0);
    await bench.clock.advance(2_000);
    expect(keysOf(bench)).toEqual([]);
  });

  test('runs as many keys at once as it may and no more', async () => {
    const gate = aGate();
    const bench = aBench(async () => await gate.opened, 2);
    bench.queue.start();
    for (const key of ['a', 'b', 'c']) bench.queue.add(key);
    await bench.clock.settle();
    expect(keysOf(bench)).toEqual(['a', 'b']);

    gate.open();
    await bench.clock.settle();

    expect(keysOf(bench)).toEqual(['a', 'b', 'c']);
  });

  test('keeps the delay that ends first', async () => {
    const bench = aBench(async () => undefined);
    bench.queue.start();
    bench.queue.addAfter('a', 5000);
    bench.queue.addAfter('a', 1000);
    bench.queue.addAfter('a', 3000);
    await bench.clock.advance(10_000);

    expect(timesOf(bench)).toEqual([1000]);
  });

  test('comes back when a turn asks for it', async () => {
    const bench = aBench(async () => (bench.turns.length < 3 ? { requeueAfterMs: 250 } : undefined));
    bench.queue.start();
    bench.queue.add('a');
    await bench.clock.advance(10_000);

    expect(timesOf(bench)).toEqual([0, 250, 500]);
  });

  test('tries failed turns again with a backoff from 50 ms to 60 s, and forgets it after a success', async () => {
    let isBroken = true;
    const bench = aBench(async () => {
      if (isBroken) throw new Error('broken');
    });
    bench.queue.start();
    bench.queue.add('a');
    await bench.clock.advance(200_000);
    const pauses = timesOf(bench)
      .slice(1)
      .map((atMs, index) => atMs - (timesOf(bench)[index] ?? 0));
    expect(pauses.slice(0, 4)).toEqual([50, 100, 200, 400]);
    expect(pauses.at(-1)).toBe(60_000);

    isBroken = false;
    await bench.clock.advance(60_000);
    isBroken = true;
    const before = bench.turns.length;
    bench.queue.add('a');
    await bench.clock.advance(60);

    expect(bench.turns.length - before).toBe(2);
    expect(bench.log.lines[0]).toMatchObject({
      level: 'warn',
      fields: { key: 'a', failures: 1, error: 'broken' },
    });
  });

  test('does not come back before the time that a server asked for', async () => {
    const throttled = {
      code: 'Throttled',
      verdict: 'retry',
      message: 'slow down',
      retryAfterMs: 7000,
    } as const;
    const bench = aBench(async () => {
      if (bench.turns.length === 1) throw new OperatorError(throttled);
    });
    bench.queue.start();
    bench.queue.add('a');
    await bench.clock.advance(10_000);

    expect(timesOf(bench)).toEqual([0, 7000]);
  });

  test('gives no turn earlier to a key whose server named a time, whoever adds it, and one turn then', async () => {
    const gate = aGate();
    const bench = aBench(async () => {
      if (bench.turns.length > 1) return;
      await gate.opened;
      throw new OperatorError({
        code: 'Throttled',
        verdict: 'retry',
        message: 'later',
        retryAfterMs: 7000,
      });
    });
    bench.queue.start();
    bench.queue.addAfter('a', 500);
    bench.queue.add('a');
    await bench.clock.settle();
    // During its turn, before the named time, and by a timer that was set before anybody named it.
    bench.queue.add('a');
    gate.open();
    await bench.clock.advance(1_000);
    bench.queue.add('a');
    bench.queue.addAfter('a', 2_000);
    await bench.clock.advance(60_000);
    bench.queue.add('a');
    await bench.clock.settle();

    expect(timesOf(bench)).toEqual([0, 7_000, 61_000]);
  });

  test('does not let one failing key hold up the others', async () => {
    const bench = aBench(async (key) => {
      if (key === 'bad') throw new Error('bad');
    });
    bench.queue.start();
    for (const key of ['bad', 'good']) bench.queue.add(key);
    await bench.clock.settle();

    expect(keysOf(bench)).toEqual(['bad', 'good']);
  });

  test('stops after the turns that run, starts no more and leaves no timer', async () => {
    const gate = aGate();
    const bench = aBench(async () => await gate.opened);
    bench.queue.start();
    for (const key of ['running', 'waiting']) bench.queue.add(key);
    bench.queue.addAfter('later', 1000);
    await bench.clock.settle();
    let isStopped = false;
    const stopped = bench.queue.stop().then(() => {
      isStopped = true;
    });
    bench.queue.add('late');
    await bench.clock.settle();
    expect(isStopped).toBe(false);

    gate.open();
    await stopped;
    await bench.clock.advance(10_000);

    expect(keysOf(bench)).toEqual(['running']);
    expect(bench.clock.pending()).toBe(0);
  });
});

type Step =
  | { readonly kind: 'add' | 'addAfter'; readonly key: string; readonly delayMs: number }
  | { readonly kind: 'advance'; readonly ms: number };

const keys = fc.constantFrom('a', 'b', 'c');
const steps = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constantFrom('add', 'addAfter'),
      key: keys,
      delayMs: fc.integer({ min: 0, max: 300 }),
    }),
    fc.record({ kind: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 200 }) }),
  ),
  { maxLength: 40 },
);
/** How long the next turns take and whether they fail; after the last one they are quick and succeed. */
const behaviours = fc.array(fc.record({ tookMs: fc.integer({ min: 0, max: 150 }), fails: fc.boolean() }), {
  maxLength: 15,
});

test('whatever happens, every key gets a turn that begins after its last add, and never two at once', async () => {
  await fc.assert(
    fc.asyncProperty(
      steps,
      behaviours,
      fc.integer({ min: 1, max: 3 }),
      async (script: Step[], planned, concurrency) => {
        const clock = new VirtualClock(0);
        const begun = new Map<string, number>();
        const due = new Map<string, number>();
        const running = new Set<string>();
        const behaviour = planned.values();
        let order = 0;
        const queue = new WorkQueue({
          clock,
          log: new MemoryLog(),
          random: () => 0.5,
          concurrency,
          process: async (key) => {
            expect(running.has(key)).toBe(false);
            running.add(key);
            expect(running.size).toBeLessThanOrEqual(concurrency);
            order += 1;
            begun.set(key, order);
            const { tookMs = 0, fails = false } = behaviour.next().value ?? {};
            if (tookMs > 0) await new Promise<void>((resolve) => clock.after(tookMs, resolve));
            running.delete(key);
            if (fails) throw new Error('planned');
          },
        });
        queue.start();
        for (const step of script) {
          if (step.kind === 'advance') {
            await clock.advance(step.ms);
            continue;
          }
          order += 1;
          due.set(step.key, order);
          if (step.kind === 'add') queue.add(step.key);
          else queue.addAfter(step.key, step.delayMs);
        }
        await clock.advance(600_000);

        for (const [key, addedAt] of due) expect(begun.get(key)).toBeGreaterThan(addedAt);
        expect(queue.isIdle()).toBe(true);
        expect(clock.pending()).toBe(0);
        await queue.stop();
      },
    ),
    { numRuns: 150 },
  );
});
