import { beforeEach, describe, expect, test } from '@jest/globals';
import { Intake } from '../../../operator/loops/intake.ts';
import { sqsFailure } from '../../simulation/sqs/failures.ts';
import { aMessage, messageId, QUEUE } from '../../support/builders.ts';
import { MemoryLog } from '../../support/logs.ts';
import { StubQueue } from '../../support/stub-queue.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const OTHER = { ...QUEUE, url: `${QUEUE.url}-2`, arn: `${QUEUE.arn}-2` };

let clock: VirtualClock;
let queue: StubQueue;
let intake: Intake;
let startMs: number;

beforeEach(async () => {
  clock = new VirtualClock();
  queue = new StubQueue();
  intake = new Intake({
    queue,
    clock,
    random: () => 1,
    log: new MemoryLog(),
    onReceived: () => undefined,
    onChange: () => undefined,
  });
  startMs = clock.now();
  target();
  await clock.advance(5_000);
});

function target(of = QUEUE): void {
  intake.setTarget({ queue: of, room: 100, perJob: 1, perReceive: 2, visibilityTimeoutSeconds: 30 });
}

/** Answers the poll under way. */
async function bring(...numbers: number[]): Promise<void> {
  queue.receives.shift()?.answer(numbers.map((number) => aMessage({ id: messageId(number) })));
  await clock.settle();
}

async function fail(): Promise<void> {
  queue.receives.shift()?.fail(sqsFailure('QueueUnreachable', 'retry'));
  await clock.settle();
}

describe('polls tell what is not in the queue', () => {
  test('by when the last one began that brought nothing, and since when all have been answered', async () => {
    await bring();
    expect(intake.polls()).toEqual({ answeredSinceMs: startMs, emptyAtMs: startMs });
    await bring(1);
    await clock.advance(5_000);
    await bring();
    expect(intake.polls()).toEqual({ answeredSinceMs: startMs, emptyAtMs: startMs + 5_000 });
  });

  test('but nothing that was before one without an answer', async () => {
    await bring();
    await fail();
    expect(intake.polls()).toEqual({ answeredSinceMs: startMs + 5_000, emptyAtMs: 0 });
    await clock.advance(60_000);
    await bring();
    expect(intake.polls().answeredSinceMs).toBe(startMs + 5_000);
    expect(intake.polls().emptyAtMs).toBeGreaterThan(startMs + 5_000);
  });

  test('but nothing of another queue', async () => {
    await bring();
    target(OTHER);
    expect(intake.polls()).toEqual({ answeredSinceMs: startMs + 5_000, emptyAtMs: 0 });
  });

  test('but nothing while one beside it may have been given a message', async () => {
    await bring(1, 2);
    await bring(3, 4);
    expect(queue.receives).toHaveLength(2);
    await bring();
    expect(intake.polls().emptyAtMs).toBe(0);
  });
});
