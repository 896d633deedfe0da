import { describe, expect, test } from '@jest/globals';
import type { Condition } from '../../../operator/api/batch-queue.ts';
import { batchQueueStatusSchema } from '../../../operator/api/status.ts';
import { afterCreate, NO_REFUSALS } from '../../../operator/plan/creation-refusal.ts';
import { isoSeconds } from '../../../operator/plan/iso-time.ts';
import type { Plan } from '../../../operator/plan/plan.ts';
import { planQueue } from '../../../operator/plan/queue-plan.ts';
import type { Snapshot } from '../../../operator/plan/snapshot.ts';
import type { KubeObject } from '../../../operator/ports.ts';
import {
  aClaim,
  anInboxMessage,
  aQueue,
  aRevision,
  aSnapshot,
  messageId,
  NOW_MS,
} from '../../support/builders.ts';

const plan = (parts: Partial<Snapshot>): Plan => planQueue(aSnapshot(parts), { generation: 1, previous: {} });

function condition({ status }: Plan, type: string): Condition | undefined {
  return status?.conditions?.find((one) => one.type === type);
}

const STUCK = aClaim();

/** A pod of that Job which has waited for this reason since a minute ago. */
function waitingPod(reason: string, message: string, job = STUCK.job.metadata.name): KubeObject {
  const since = isoSeconds(NOW_MS - 60_000);
  return {
    metadata: {
      name: `${job}-x1`,
      creationTimestamp: since,
      labels: { 'batch.kubernetes.io/job-name': job },
    },
    spec: { containers: [{ name: 'worker' }] },
    status: {
      phase: 'Pending',
      conditions: [{ type: 'PodScheduled', status: 'True', lastTransitionTime: since }],
      containerStatuses: [{ name: 'worker', state: { waiting: { reason, message } } }],
    },
  };
}

const UNPULLABLE = { claims: [STUCK], jobPods: [waitingPod('ErrImagePull', 'manifest unknown')] };

function refusedFor(jobs: readonly string[], words: string, code = 'Forbidden') {
  const message = `create jobs shop/x: ${code}: ${words}`;
  return jobs.reduce(
    (memory, job) => afterCreate(memory, job, { code, message, outcomeUnknown: false }, NOW_MS),
    NO_REFUSALS,
  );
}

/** The Jobs that would be made for this inbox. */
function jobsFor(inbox: Snapshot['inbox']): string[] {
  return plan({ inbox }).actions.flatMap((action) =>
    action.kind === 'claim' ? [action.job.metadata.name] : [],
  );
}

const INBOX = [1, 2, 3].map((number) => anInboxMessage({ id: messageId(number) }));

describe('an image that cannot be pulled', () => {
  test('closes intake and says so in Ready and Dispatching', () => {
    const held = plan(UNPULLABLE);
    expect(held.intake).toMatchObject({ room: 0 });
    const said = {
      status: 'False',
      reason: 'ImagePullFailing',
      message: `Job ${STUCK.job.metadata.name}: manifest unknown. Intake is held; one message is tried at growing intervals.`,
    };
    expect(condition(held, 'Ready')).toMatchObject(said);
    expect(condition(held, 'Dispatching')).toMatchObject(said);
    expect(held.requeueAfterMs).toBe(60_000);
  });

  test('lets one message in when a probe is due', () => {
    const { holdMemory } = plan(UNPULLABLE);
    const due = plan({ ...UNPULLABLE, holdMemory, nowMs: NOW_MS + 60_000 });
    expect(due.intake).toMatchObject({ room: 1 });
  });

  test('does not keep what was received from becoming a Job', () => {
    const { actions } = plan({ ...UNPULLABLE, inbox: INBOX });
    expect(actions.filter(({ kind }) => kind === 'claim')).toHaveLength(3);
  });

  test('is forgotten with the BatchQueue', () => {
    expect(plan({ ...UNPULLABLE, queue: undefined, isGone: true })).toMatchObject({
      intake: undefined,
      holdMemory: undefined,
    });
  });
});

describe('no room on any node', () => {
  const NO_ROOM = {
    claims: [STUCK],
    jobPods: [
      {
        ...waitingPod('', ''),
        status: {
          phase: 'Pending',
          conditions: [
            {
              type: 'PodScheduled',
              status: 'False',
              reason: 'Unschedulable',
              message: '0/3 nodes are available: 3 Insufficient cpu.',
              lastTransitionTime: isoSeconds(NOW_MS - 60_000),
            },
          ],
        },
      },
    ],
  };

  test('is told, and closes nothing', () => {
    const open = plan(NO_ROOM);
    expect(open.intake?.room).toBe(9);
    expect(condition(open, 'Ready')).toMatchObject({
      status: 'True',
      reason: 'Running',
      message: `Messages are run as Jobs. Waiting: Unschedulable: Job ${STUCK.job.metadata.name}: 0/3 nodes are available: 3 Insufficient cpu.`,
    });
    expect(condition(open, 'Dispatching')).toMatchObject({ status: 'True' });
  });
});

describe('a Job that was refused', () => {
  test('for a quota holds the messages and closes intake', () => {
    const creations = refusedFor(jobsFor(INBOX), 'exceeded quota: few');
    const held = plan({ inbox: INBOX, creations });
    expect(held.actions).toEqual([]);
    expect(held.intake).toMatchObject({ room: 0 });
    expect(held.requeueAfterMs).toBe(4_000);
    const said = {
      status: 'False',
      reason: 'QuotaExceeded',
      message: expect.stringMatching(/^A Job was refused: exceeded quota: few\. /),
    };
    expect(condition(held, 'Ready')).toMatchObject(said);
    expect(condition(held, 'Dispatching')).toMatchObject(said);
  });

  test('is tried again alone, when it is time', () => {
    const creations = refusedFor(jobsFor(INBOX), 'exceeded quota: few');
    expect(plan({ inbox: INBOX, creations, nowMs: NOW_MS + 4_000 }).actions).toHaveLength(1);
  });

  test('for its own reasons closes nothing', () => {
    const [job = ''] = jobsFor(INBOX);
    const creations = refusedFor([job], 'name is taken', 'NameTaken');
    const open = plan({ inbox: INBOX, creations });
    expect(open.actions).toHaveLength(2);
    expect(open.intake?.room).toBe(10);
    expect(condition(open, 'Ready')).toMatchObject({ status: 'False', reason: 'JobNotCreated' });
    expect(condition(open, 'Dispatching')).toMatchObject({ status: 'True' });
  });

  test('is of no interest once nothing waits for it', () => {
    const done = plan({ creations: refusedFor(jobsFor(INBOX), 'exceeded quota: few') });
    expect(done.intake?.room).toBe(10);
    expect(condition(done, 'Ready')).toMatchObject({ status: 'True' });
  });

  test('with endless words still makes a status that the API server takes', () => {
    for (const code of ['Forbidden', 'Invalid']) {
      const creations = refusedFor(jobsFor(INBOX), 'x'.repeat(40_000), code);
      const { status } = plan({ inbox: INBOX, creations });
      expect(batchQueueStatusSchema.safeParse(status).error?.issues).toBeUndefined();
    }
  });
});

describe('a template that was replaced', () => {
  const queue = aQueue({ image: 'worker:2' });
  const revisions = [aRevision(aQueue(), 1), aRevision(queue, 2)];

  test('ends the Jobs that could not start under it, and opens intake', () => {
    const { actions, intake, holdMemory } = plan({
      ...UNPULLABLE,
      queue,
      revisions,
      holdMemory: plan(UNPULLABLE).holdMemory,
    });
    expect(actions).toMatchObject([{ kind: 'endStuckJob', claim: STUCK, reason: 'ImagePullFailing' }]);
    expect(intake?.room).toBe(9);
    expect(holdMemory?.hold).toBeUndefined();
  });
});
