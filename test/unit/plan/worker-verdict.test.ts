import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { parseIndexes } from '../../../operator/plan/index-list.ts';
import type { Claim, PodsOfJob, WorkerReport } from '../../../operator/plan/job-facts.ts';
import { judgeFailure, judgeIndexes, judgeSuccess } from '../../../operator/plan/worker-verdict.ts';
import { aClaim, aMessage, aQueue, type ClaimParts, messageId } from '../../support/builders.ts';

const FOUR = [0, 1, 2, 3].map((number) => aMessage({ id: messageId(number) }));
const INDEXED = aQueue({ spec: { jobTemplate: indexedTemplate() } });

function indexedTemplate(): object {
  const template = { spec: { containers: [{ name: 'worker', image: 'worker:1' }] } };
  return { spec: { completionMode: 'Indexed', template } };
}

function batch(parts: ClaimParts = {}): Claim {
  return aClaim({ messages: FOUR, ...parts });
}

function podsWith(
  result: Partial<WorkerReport> | undefined,
  byIndex: [number, WorkerReport][] = [],
): PodsOfJob {
  return {
    running: 0,
    terminating: 0,
    neverStarted: false,
    result: result && { reason: 'Error', message: '', ...result },
    resultOfIndex: new Map(byIndex),
  };
}

type Judgement = ReturnType<typeof judgeSuccess>;

/** One letter per message: done, retry, reject; `-` for nothing yet. */
function letters({ judged }: Judgement): string {
  const means = new Map(judged.map((one) => [one.message.index, one.means]));
  return FOUR.map((_, index) => means.get(index)?.charAt(2) ?? '-').join('');
}
const DONE = 'n';
const RETRY = 't';
const REJECT = 'j';

describe('a failing exit code with lists is partial success', () => {
  test.each<[string, Partial<WorkerReport>, string]>([
    ['without lists all are tried again', { exitCode: 1 }, 'tttt'],
    ['what succeeded is done, the rest is tried again', { exitCode: 1, succeededIndexes: '0-1,3' }, 'nntn'],
    ['what is rejected is rejected', { exitCode: 1, succeededIndexes: '0', rejectedIndexes: '2' }, 'ntjt'],
    ['65 without lists rejects all', { exitCode: 65 }, 'jjjj'],
    [
      '65 with lists rejects what it names',
      { exitCode: 65, rejectedIndexes: '3', succeededIndexes: '0-1' },
      'nntj',
    ],
    ['75 is tried again', { exitCode: 75, succeededIndexes: '0' }, 'nttt'],
    ['78 is tried again', { exitCode: 78 }, 'tttt'],
    ['a list that names too many says nothing', { exitCode: 1, succeededIndexes: '0-9' }, 'tttt'],
    ['a list that is none says nothing', { exitCode: 1, succeededIndexes: 'all' }, 'tttt'],
    [
      'what is in both lists is not deleted',
      { exitCode: 1, succeededIndexes: '0', rejectedIndexes: '0' },
      'jttt',
    ],
    ['no result at all: all are tried again', {}, 'tttt'],
  ])('%s', (_, report, expected) => {
    expect(letters(judgeFailure(batch({ outcome: 'failed' }), podsWith(report)))).toBe(expected);
  });

  test('with the time that the worker asks for', () => {
    const report = { exitCode: 75, succeededIndexes: '0', retryAfterSeconds: 90 };
    const { judged } = judgeFailure(batch({ outcome: 'failed' }), podsWith(report));
    expect(judged.map(({ retryAfterSeconds }) => retryAfterSeconds)).toEqual([90, 90, 90, 90]);
  });

  test('but not when the Job was ended by its deadline: its worker was cut off while it wrote', () => {
    const failure = { reason: 'DeadlineExceeded', message: 'too long' };
    const claim = batch({ outcome: 'failed', failure });
    expect(letters(judgeFailure(claim, podsWith({ exitCode: 75, succeededIndexes: '0-3' })))).toBe('tttt');
  });

  test('of the messages that the Job still holds', () => {
    const claim = batch({ outcome: 'failed', fates: { deleted: '0' } });
    expect(letters(judgeFailure(claim, podsWith({ exitCode: 1, succeededIndexes: '0-1' })))).toBe('-ntt');
  });
});

describe('exit code 0', () => {
  test.each<[string, Partial<WorkerReport> | undefined, string]>([
    ['alone says that all are done', undefined, 'nnnn'],
    ['with a summary says that all are done', { message: 'rows 3' }, 'nnnn'],
    ['with a list of all says the same', { succeededIndexes: '0-3' }, 'nnnn'],
    ['with an empty list of rejections says the same', { rejectedIndexes: '' }, 'nnnn'],
    ['with a list of some is a conflict', { succeededIndexes: '0-2' }, 'tttt'],
    ['with an empty list is a conflict', { succeededIndexes: '' }, 'tttt'],
    ['with a rejection is a conflict', { succeededIndexes: '0-3', rejectedIndexes: '1' }, 'tttt'],
    ['with a list that is none is a conflict', { succeededIndexes: 'all' }, 'tttt'],
  ])('%s', (_, report, expected) => {
    const judgement = judgeSuccess(
      batch({ outcome: 'succeeded' }),
      podsWith(report && { exitCode: 0, ...report }),
    );
    expect(letters(judgement)).toBe(expected);
    expect(judgement.result?.reason === 'ResultConflict').toBe(expected === 'tttt');
  });
});

describe('an Indexed Job', () => {
  const running = batch({ queue: INDEXED, completedIndexes: '0,2', failedIndexes: '3' });

  test('settles what has ended and leaves what runs', () => {
    const pods = podsWith(undefined, [[3, { exitCode: 1, reason: 'Error', message: 'broken' }]]);
    const judgement = judgeIndexes(running, pods, false);
    expect(letters(judgement)).toBe('n-nt');
    expect(judgement.result).toEqual({ exitCode: 1, reason: 'Error', message: 'broken' });
  });

  test('waits with a failed index until its pods have been listed', () => {
    expect(letters(judgeIndexes(running, undefined, false))).toBe('n-n-');
  });

  test('rejects the index whose worker says 65', () => {
    const pods = podsWith(undefined, [[3, { exitCode: 65, reason: 'DataError', message: 'line 3' }]]);
    expect(letters(judgeIndexes(running, pods, false))).toBe('n-nj');
  });

  test('waits with a failed index whose pod is not known to have ended yet', () => {
    const pods = { ...podsWith(undefined), unfinishedIndexes: new Set([3]) };
    expect(letters(judgeIndexes(running, pods, false))).toBe('n-n-');
  });

  test('leaves an index whose pod its node refused to the end of the Job, which may be another run', () => {
    const pods = podsWith(undefined, [[3, { reason: 'OutOfcpu', message: 'the node was full' }]]);
    expect(letters(judgeIndexes(running, pods, false))).toBe('n-n-');
    expect(letters(judgeIndexes(running, pods, true))).toBe('ntnt');
  });

  test('takes the word of a pod that has succeeded once it is over, because nobody may count it any more', () => {
    const pods = { ...podsWith(undefined), succeededIndexes: new Set([1]) };
    expect(letters(judgeIndexes(running, pods, true))).toBe('nnnt');
    expect(letters(judgeIndexes(running, pods, false))).toBe('n-nt');
  });

  test('gives back what has not ended once it is over', () => {
    expect(letters(judgeIndexes(running, podsWith(undefined), true))).toBe('ntnt');
  });
});

test('whatever a worker writes, nothing is done that it has not named or that exit code 0 has not said', () => {
  const text = fc.option(fc.oneof(fc.string(), fc.constantFrom('0-3', '0,2', '')), { nil: undefined });
  fc.assert(
    fc.property(
      text,
      text,
      fc.integer({ min: 1, max: 255 }),
      (succeededIndexes, rejectedIndexes, exitCode) => {
        const report = { exitCode, succeededIndexes, rejectedIndexes };
        const said = letters(judgeFailure(batch({ outcome: 'failed' }), podsWith(report)));
        expect(said).toMatch(new RegExp(`^[${DONE}${RETRY}${REJECT}]{4}$`));
        const named = parseIndexes(succeededIndexes ?? '', FOUR.length) ?? new Set();
        for (const [index, letter] of said.split('').entries())
          if (letter === DONE) expect(named).toContain(index);
      },
    ),
  );
});
