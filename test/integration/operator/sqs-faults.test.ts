import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { everySecondEntryFails, handlesExpired, requestThrottled } from '../../faults/sqs-faults.ts';
import { eventually, holdsFor } from '../../support/eventually.ts';
import { FaultStage, whenEachRanOnce } from '../../support/fault-stage.ts';
import { ledgerOf, type QueueCase } from '../../support/queue-case.ts';

const RENEWAL = { operation: 'ChangeMessageVisibilityBatch' };
const DELETE = { operation: 'DeleteMessageBatch' };
const RECEIVE = { operation: 'ReceiveMessage' };
let stage: FaultStage;
jest.setTimeout(300_000);

beforeAll(async () => {
  stage = await FaultStage.set();
}, 60_000);

afterAll(async () => {
  await stage.clear();
});

/** Holds for as long as none of the messages in flight can be received by anybody else. */
async function staysInvisible({ queue, ms }: { queue: QueueCase; ms: number }): Promise<void> {
  await holdsFor(
    ms,
    () => stage.stage.emulator.receive(queue.url()),
    (received) => received.length === 0,
  );
}

test.concurrent('throttled at every call, the operator tries until SQS has time, and keeps its lease', async () => {
  const { queue, sqs, past } = await stage.begin('throttled');
  const id = await queue.send('throttled');
  const job = await queue.jobOf(id);
  const rule = sqs.inject({ match: {}, fault: requestThrottled });
  await queue.succeed(job);
  await eventually(
    () => sqs.requests(DELETE).length,
    (count) => count > 0,
    { what: 'a delete that is throttled' },
  );
  expect(await queue.counts()).toEqual({ visible: 0, inFlight: 1 });
  rule.remove();

  await whenEachRanOnce({ queue, past }, [id]);
  expect(ledgerOf(await queue.jobOf(id)).messages).toMatchObject([{ receiveCount: 1 }]);
  expect(rule.hits()).toBeGreaterThan(0);
});

test.concurrent('renewals of which every second entry fails cost no lease', async () => {
  const { queue, sqs, past } = await stage.begin('partial');
  const ids = await Promise.all(['a', 'b', 'c', 'd'].map((body) => queue.send(body)));
  const jobs = await Promise.all(ids.map((id) => queue.jobOf(id)));
  const rule = sqs.inject({ match: RENEWAL, fault: everySecondEntryFails });

  // Past the first renewal, after a third of the forty seconds that a receive asks for, and its ten seconds.
  await staysInvisible({ queue, ms: 26_000 });

  expect(rule.hits()).toBeGreaterThan(4);
  rule.remove();
  await Promise.all(jobs.map((job) => queue.succeed(job)));
  await whenEachRanOnce({ queue, past }, ids);
});

test.concurrent('a delete that SQS does not carry out is owed until it does', async () => {
  const { queue, sqs, past } = await stage.begin('undeleted');
  const fails = { ...everySecondEntryFails, fails: () => true };
  const rule = sqs.inject({ match: DELETE, times: 3, fault: fails });
  const id = await queue.send('undeleted');
  const job = await queue.jobOf(id);
  await queue.succeed(job);

  await whenEachRanOnce({ queue, past }, [id]);

  expect(rule.hits()).toBe(3);
  expect(ledgerOf(await queue.jobOf(id)).messages).toMatchObject([{ receiveCount: 1 }]);
});

test.concurrent('a delete with a handle that has expired: the message comes once more, and is deleted then', async () => {
  const { queue, sqs, past } = await stage.begin('stale-handle');
  const rule = sqs.inject({ match: DELETE, times: 1, fault: handlesExpired });
  const id = await queue.send('stale handle');
  await queue.succeed(await queue.jobOf(id));

  await whenEachRanOnce({ queue, past }, [id]);

  expect(rule.hits()).toBe(1);
  expect(sqs.requests(DELETE)).toHaveLength(2);
  expect([...sqs.receiptHandles().values()]).toEqual([id, id]);
});

test.concurrent('a lease that SQS says is lost: the message comes again and its running Job takes it', async () => {
  const { queue, sqs, past } = await stage.begin('lost-lease');
  const id = await queue.send('lost lease');
  const job = await queue.jobOf(id);
  const rule = sqs.inject({ match: RENEWAL, times: 1, fault: handlesExpired });

  const adopted = await eventually(
    () => queue.jobOf(id),
    (found) => ledgerOf(found).messages[0]?.receiveCount === 2,
    { what: 'the Job to adopt its message', timeoutMs: 40_000 },
  );
  expect(rule.hits()).toBe(1);
  expect(adopted.metadata.uid).toBe(job.metadata.uid);
  await queue.succeed(job);
  await whenEachRanOnce({ queue, past }, [id]);
});

test.concurrent('answers that are lost, one of each call, lose no message and run none twice', async () => {
  const { queue, sqs, past } = await stage.begin('lost-answers');
  await eventually(
    () => sqs.open(RECEIVE).length,
    (count) => count > 0,
    { what: 'a poll under way' },
  );
  const rules = [RECEIVE, DELETE, RENEWAL].map((match) =>
    sqs.inject({ match, times: 1, fault: { kind: 'lose-answer' } }),
  );
  // The poll under way is not struck: it has come in before. It takes this one.
  const first = await queue.send('first');
  const job = await queue.jobOf(first);
  const second = await queue.send('its answer is lost');
  // Received twice, run once: nobody gets it again before the forty seconds are over that a receive asks for.
  const late = await queue.jobOf(second, 2, 80_000);
  await queue.succeed(job);
  await queue.succeed(late);

  await whenEachRanOnce({ queue, past }, [first, second]);
  expect(rules.map((rule) => rule.hits())).toEqual([1, 1, 1]);
});

test.concurrent('connections to SQS that die without a word cost no lease', async () => {
  const { queue, sqs, past } = await stage.begin('half-open', { queue: { visibilityTimeoutSeconds: 30 } });
  const id = await queue.send('half open');
  const job = await queue.jobOf(id);
  // A renewal has opened the connection that the next one will use.
  await eventually(
    () => sqs.requests(RENEWAL).length,
    (count) => count > 0,
    { what: 'a renewal', timeoutMs: 15_000 },
  );
  sqs.freezeConnections();

  await staysInvisible({ queue, ms: 40_000 });
  await queue.succeed(job);
  await whenEachRanOnce({ queue, past }, [id]);
  expect(ledgerOf(await queue.jobOf(id)).messages).toMatchObject([{ receiveCount: 1 }]);
});
