import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { readWatchEvents, type WatchEvent } from '../../../operator/kube/watch-stream.ts';

const ATTEMPT = { text: 'watch jobs', isWrite: false };
const ADDED = { type: 'ADDED', object: { kind: 'Job', metadata: { name: 'grüße-✓', resourceVersion: '7' } } };
const DELETED = { type: 'DELETED', object: { kind: 'Job', metadata: { name: 'b' }, unknown: [1] } };
const BOOKMARK = { type: 'BOOKMARK', object: { metadata: { resourceVersion: '9' } } };

async function* cut(bytes: Uint8Array, places: readonly number[]): AsyncGenerator<Uint8Array> {
  let begin = 0;
  const ends = places.map((place) => place % bytes.length).sort((a, b) => a - b);
  for (const end of [...ends, bytes.length]) {
    yield bytes.subarray(begin, end);
    begin = end;
  }
}

async function read(text: string, ends: readonly number[] = []): Promise<WatchEvent[]> {
  const events: WatchEvent[] = [];
  for await (const event of readWatchEvents(ATTEMPT, cut(Buffer.from(text), ends))) events.push(event);
  return events;
}

test('events are the same wherever the network cuts the bytes', async () => {
  const text = [ADDED, DELETED, BOOKMARK].map((event) => `${JSON.stringify(event)}\n`).join('');
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(), { maxLength: 20 }), async (ends) => {
      expect(await read(text, ends)).toEqual([
        { type: 'OPENED' },
        ADDED,
        DELETED,
        { type: 'BOOKMARK', resourceVersion: '9' },
      ]);
    }),
  );
});

test('an ERROR event is thrown as what it says', async () => {
  const status = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version: 1 (2)' };

  await expect(read(`${JSON.stringify({ type: 'ERROR', object: status })}\n`)).rejects.toMatchObject({
    code: 'Gone',
    message: 'watch jobs: Gone: too old resource version: 1 (2)',
  });
});

test('half a line at the end is dropped and types of the future are passed over', async () => {
  expect(await read(`{"type":"PROGRESS","object":{}}\n${JSON.stringify(ADDED).slice(0, 40)}`)).toEqual([
    { type: 'OPENED' },
  ]);
});

test('a line that is no JSON ends the watch', async () => {
  await expect(read('<html>\n')).rejects.toMatchObject({
    code: 'Unavailable',
    verdict: 'retry',
    outcomeUnknown: false,
  });
});
