import { beforeEach, describe, expect, jest, test } from '@jest/globals';
import { messageId } from '../../support/builders.ts';
import { ManyQueues } from '../../support/many-queues.ts';

jest.setTimeout(30_000);

let world: ManyQueues;

beforeEach(() => {
  world = new ManyQueues();
});

describe('a queue that does not answer', () => {
  test.each(['dead', 'throttled'] as const)('or only refuses (%s) slows no other', async (manner) => {
    for (let bad = 0; bad < 50; bad += 1) {
      world.set(`bad-${bad}`, manner);
      world.create(`bad-${bad}`);
    }
    world.create('good');
    await world.clock.advance(5_000);
    for (let number = 0; number < 10; number += 1) {
      world.send('good', messageId(number));
      await world.clock.advance(100);
      expect(world.jobsOf('good')).toHaveLength(number + 1);
    }
  });

  test.each(['dead', 'throttled'] as const)(
    'that begins so in mid-run (%s) slows no other',
    async (manner) => {
      for (const name of ['bad', 'good']) world.create(name);
      await world.clock.advance(1_000);
      world.set('bad', manner);
      world.send('bad', messageId(1));
      await world.clock.advance(60_000);
      world.send('good', messageId(2));
      await world.clock.advance(100);
      expect(world.jobsOf('good')).toHaveLength(1);
      expect(world.condition('good', 'Ready')).toBe('True Running');
    },
  );
});

describe('two BatchQueues on one SQS queue', () => {
  /** The second is a second younger. */
  async function makeBoth(): Promise<void> {
    world.create('older', 'shared');
    await world.clock.advance(1_000);
    world.create('younger', 'shared');
    await world.clock.advance(2_000);
  }

  test('do not both poll: the younger says why not', async () => {
    await makeBoth();
    expect(world.condition('older', 'Ready')).toBe('True Running');
    expect(world.condition('younger', 'Ready')).toBe('False QueueInUse');
    expect(world.condition('younger', 'Dispatching')).toBe('False QueueInUse');
    expect(world.polls()).toBe(1);
    for (let number = 0; number < 5; number += 1) world.send('shared', messageId(number));
    await world.clock.advance(1_000);
    expect([world.jobsOf('older').length, world.jobsOf('younger').length]).toEqual([5, 0]);
  });

  test('heal when the older one goes', async () => {
    await makeBoth();
    world.delete('older');
    // A poll from before is left to end by itself.
    await world.clock.advance(21_000);
    expect(world.condition('younger', 'Ready')).toBe('True Running');
    world.send('shared', messageId(1));
    await world.clock.advance(1_000);
    expect(world.jobsOf('younger')).toHaveLength(1);
  });

  test('of which the older turns up later stop the younger', async () => {
    world.set('shared', 'dead');
    await makeBoth();
    world.set('shared', 'well');
    await world.clock.advance(60_000);
    expect(world.condition('younger', 'Ready')).not.toBe('True Running');
  });

  test('that are on different queues both poll', async () => {
    world.create('one');
    world.create('two');
    await world.clock.advance(1_000);
    expect(world.polls()).toBe(2);
  });
});

test('a hundred BatchQueues leave nothing behind when they are deleted: no poll, no timer', async () => {
  const names = Array.from({ length: 100 }, (_, index) => `queue-${index}`);
  for (const name of names) world.create(name);
  await world.clock.advance(5_000);
  expect(world.polls()).toBe(100);
  for (const name of names) world.send(name, messageId(names.indexOf(name)));
  await world.clock.advance(1_000);
  for (const name of names) expect(world.jobsOf(name)).toHaveLength(1);

  for (const name of names) world.delete(name);
  // Longer than any timer that is not renewed.
  await world.clock.advance(900_000);
  expect([world.polls(), world.clock.pending()]).toEqual([0, 0]);
});
