import { expect, test } from '@jest/globals';
import { CallSequence, type CrashPoint, PLACES } from '../../faults/call-sequence.ts';

const CREATE = { kind: 'create jobs', ordinal: 2 };

/** A sequence that ends its process at a point; `kills` counts how often it was ended. */
function aSequence(point?: CrashPoint): { sequence: CallSequence; kills: () => number } {
  const sequence = new CallSequence(point);
  let kills = 0;
  sequence.killWith(() => {
    kills += 1;
  });
  return { sequence, kills: () => kills };
}

test('calls of all kinds are one sequence, and each kind counts for itself', () => {
  const { sequence } = aSequence();
  for (const kind of ['create jobs', 'ReceiveMessage', 'create jobs']) sequence.open(kind);
  sequence.open('list jobs')('before');

  expect(sequence.calls()).toEqual([
    { number: 1, kind: 'create jobs', ordinal: 1, place: 'before' },
    { number: 2, kind: 'ReceiveMessage', ordinal: 1, place: 'before' },
    { number: 3, kind: 'create jobs', ordinal: 2, place: 'before' },
    { number: 4, kind: 'list jobs', ordinal: 1, place: 'before' },
  ]);
  expect(sequence.hasStruck()).toBe(false);
});

test.each(PLACES)('the process ends at its call, %s, and nowhere else', async (place) => {
  const { sequence, kills } = aSequence({ ...CREATE, place });
  const other = sequence.open('create jobs');
  for (const passed of PLACES) expect(other(passed)).toBe(true);

  const call = sequence.open('create jobs');
  const passed = PLACES.slice(0, PLACES.indexOf(place));
  for (const before of passed) expect(call(before)).toBe(true);
  expect(kills()).toBe(0);
  expect(call(place)).toBe(false);

  await sequence.struck();
  expect(kills()).toBe(1);
});

test('from then on no call goes any further, neither those under way nor later ones', async () => {
  const { sequence } = aSequence({ ...CREATE, ordinal: 1, place: 'committed' });
  const underWay = sequence.open('ReceiveMessage');
  expect(underWay('before')).toBe(true);
  const call = sequence.open('create jobs');
  call('before');
  call('committed');

  expect(underWay('committed')).toBe(false);
  expect(sequence.open('patch jobs')('before')).toBe(false);
  expect(sequence.calls().map(({ kind }) => kind)).toEqual(['ReceiveMessage', 'create jobs']);
});

test('after an answer the process lives until its next call, which does not get through', () => {
  const { sequence, kills } = aSequence({ ...CREATE, ordinal: 1, place: 'answered' });
  const call = sequence.open('create jobs');
  for (const place of PLACES) call(place);
  expect(kills()).toBe(0);

  expect(sequence.open('patch jobs')('before')).toBe(false);

  expect(kills()).toBe(1);
});
