import { expect, test } from '@jest/globals';
import type { KubeObject } from '../../../operator/ports.ts';
import { NamespaceHistory } from '../../crash/namespace-history.ts';

interface Looks {
  readonly messages?: readonly string[];
  readonly condition?: 'Complete' | 'Failed';
  readonly isOwing?: boolean;
}

function aJob(name: string, { messages = ['m'], condition, isOwing = true }: Looks = {}): KubeObject {
  const ledger = JSON.stringify({ messages: messages.map((id) => ({ id })) });
  return {
    metadata: {
      name,
      uid: `uid-of-${name}`,
      annotations: { 'batchqueue.io/ledger': ledger },
      ...(isOwing && { finalizers: ['batchqueue.io/settlement'] }),
    },
    status: { conditions: condition ? [{ type: condition, status: 'True' }] : [] },
  };
}

test('a message with two Jobs that may run is told, also when one of them has ended since', () => {
  const history = new NamespaceHistory();
  history.takeJob(aJob('first'), false);
  history.takeJob(aJob('second'), false);
  history.takeJob(aJob('first', { condition: 'Complete' }), false);

  expect(history.violations()).toEqual(['message m had two active Jobs, first and second']);
});

test('a second Job after the first has ended, or is gone, is no violation', () => {
  const history = new NamespaceHistory();
  history.takeJob(aJob('first'), false);
  history.takeJob(aJob('first', { condition: 'Failed' }), false);
  history.takeJob(aJob('second'), false);
  history.takeJob(aJob('second'), true);
  history.takeJob(aJob('third'), false);
  history.takeJob(aJob('of another message', { messages: ['n'] }), false);

  expect(history.violations()).toEqual([]);
  expect(history.jobsOf('m').map(({ name }) => name)).toEqual(['first', 'second', 'third']);
});

test('a Job is remembered as it was last seen, with the messages that it was created for', () => {
  const history = new NamespaceHistory();
  history.takeJob(aJob('first', { messages: ['m', 'n'] }), false);
  history.takeJob(aJob('first', { messages: ['n'], condition: 'Complete', isOwing: false }), true);

  expect(history.jobs()).toEqual([
    {
      uid: 'uid-of-first',
      name: 'first',
      messages: ['m', 'n'],
      held: ['n'],
      state: 'succeeded',
      isOwing: false,
      isGone: true,
    },
  ]);
});
