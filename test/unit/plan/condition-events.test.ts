import { expect, test } from '@jest/globals';
import type { Condition } from '../../../operator/api/batch-queue.ts';
import { conditionEvents } from '../../../operator/plan/condition-events.ts';

/** As `StorageReady False VolumeClaimNotFound`. */
function conditions(...words: readonly string[]): Condition[] {
  return words.map((text) => {
    const [type = '', word, reason = ''] = text.split(' ');
    const status = word === 'True' || word === 'False' ? word : 'Unknown';
    return { type, status, reason, message: 'words', lastTransitionTime: '' };
  });
}

function told(before: readonly string[], after: readonly string[]): string[] {
  return conditionEvents(conditions(...before), conditions(...after)).map(
    ({ type, reason, note }) => `${type} ${reason} ${note}`,
  );
}

const GOOD = 'StorageReady True Bound';
const BAD = 'StorageReady False VolumeClaimNotFound';

test.each<[string, string[], string[], string[]]>([
  ['nothing of what was in order from the start', [], [GOOD], []],
  ['nothing of what is not known yet', [], ['StorageReady Unknown Checking'], []],
  [
    'a fault from the start',
    ['StorageReady Unknown Checking'],
    [BAD],
    ['Warning VolumeClaimNotFound StorageReady: words'],
  ],
  ['a fault', [GOOD], [BAD], ['Warning VolumeClaimNotFound StorageReady: words']],
  ['the same fault once', [BAD], [BAD], []],
  ['another fault', [BAD], ['StorageReady False Released'], ['Warning Released StorageReady: words']],
  ['that it is over', [BAD], [GOOD], ['Normal StorageReady words']],
  ['nothing while it is checked again', [BAD], ['StorageReady Unknown Checking'], []],
  [
    'what could not be checked',
    [GOOD],
    ['StorageReady Unknown CheckForbidden'],
    ['Warning CheckForbidden StorageReady: words'],
  ],
  ['nothing of the summaries', ['Ready True Running'], ['Ready False X', 'Drained False MessagesLeft'], []],
  ['nothing of another reason to be well', [GOOD], ['StorageReady True NotUsed'], []],
  [
    'each condition for itself',
    [BAD, 'QueueReachable True Reachable'],
    [GOOD, 'QueueReachable False QueueNotFound'],
    ['Normal StorageReady words', 'Warning QueueNotFound QueueReachable: words'],
  ],
])('users are told %s', (_, before, after, events) => {
  expect(told(before, after)).toEqual(events);
});
