import type { Mutant } from './mutant.ts';

/** Faults to plant, each with what it breaks. */
export const MUTANTS: readonly Mutant[] = [
  {
    name: 'delete-before-success',
    breaks: 'A message is deleted while its worker still runs.',
    edits: [
      {
        file: 'operator/plan/settlement.ts',
        find: "if (outcome === 'succeeded') return settleAll(claim, judgeSuccess(claim, pods), context);",
        replace: `if (outcome === 'succeeded' || claim.running)
    return settleAll(claim, judgeSuccess(claim, pods), context);`,
      },
    ],
    seed: 13,
  },
  {
    name: 'revision-in-job-name',
    breaks: 'The name of a Job depends on the revision, which two observers can see differently.',
    edits: [
      {
        file: 'operator/plan/job.ts',
        find: 'name: nameOfJob(queue, ledger),',
        replace: 'name: `${nameOfJob(queue, ledger)}${revision.number}`,',
      },
    ],
    seed: 2,
  },
  {
    name: 'stale-list-trusted',
    breaks: 'A message that was received before joins a batch without a list of the Jobs that may hold it.',
    edits: [
      {
        file: 'operator/plan/batch.ts',
        find: '(!isSure || groupOf(message) !== undefined) && message.arrivedAtMs >= jobsListedAtMs',
        replace: 'message.arrivedAtMs >= jobsListedAtMs && nowMs < 0',
      },
    ],
    seed: 57,
  },
  {
    name: 'late-create',
    breaks: 'A Job is made although the lease may end before it is there.',
    edits: [
      {
        file: 'operator/plan/lease.ts',
        find: 'return trustedUntilMs > nowMs + CREATE_TIMEOUT_MS;',
        replace: 'return trustedUntilMs > 0 || nowMs < 0;',
      },
    ],
    seed: 20,
  },
  {
    name: 'finalizer-dropped-first',
    breaks: 'The Job says that nothing is owed before SQS was told.',
    edits: [
      {
        file: 'operator/loops/settling.ts',
        find: '  const answers = queue ? await tellQueue(action, queue, world) : [];',
        replace: `  if (action.final) await record({ action, settled: [], isFinal: true }, world);
  const answers = queue ? await tellQueue(action, queue, world) : [];`,
      },
    ],
    seed: 1,
  },
  {
    name: 'heartbeat-tied-to-the-api',
    breaks: 'Leases are renewed only while the API server answers.',
    edits: [
      {
        file: 'operator/loops/controller.ts',
        find: `queue: world.queue,
        clock: world.clock,`,
        replace: `queue: Object.assign(Object.create(world.queue), {
          renew: async (...args: Parameters<typeof world.queue.renew>) => {
            await world.kube.get({ group: 'batch', version: 'v1', plural: 'jobs' }, 'shop', 'any');
            return world.queue.renew(...args);
          },
        }),
        clock: world.clock,`,
      },
    ],
    seed: 131,
  },
  {
    name: 'adoption-without-comparing',
    breaks: 'A Job that stands under the wanted name passes for the wanted one, whatever it holds.',
    edits: [
      {
        file: 'operator/loops/claiming.ts',
        find: 'if (!holdsSameMessage(existing, job)) {',
        replace: 'if (existing === undefined) {',
      },
      {
        file: 'operator/loops/claiming.ts',
        find: `    if (!isNew) return;
`,
        replace: '',
      },
    ],
    seed: 30,
  },
  {
    name: 'attempts-mixed',
    breaks: 'Messages of different attempts go into one batch.',
    edits: [
      {
        file: 'operator/plan/batch.ts',
        find: 'const byAttempt = Map.groupBy(plain, ({ attempt }) => attempt);',
        replace: 'const byAttempt = Map.groupBy(plain, () => 1);',
      },
    ],
    seed: 2,
  },
  {
    name: 'history-before-settlement',
    breaks: 'Old Jobs are cleaned up although they still owe a settlement.',
    edits: [
      {
        file: 'operator/plan/history.ts',
        find: "claim.settled && claim.outcome !== 'active' && !claim.deleting",
        replace: "claim.outcome !== 'active' && !claim.deleting",
      },
      {
        file: 'operator/plan/history.ts',
        find: 'const more = isBusy ? KEPT_WHILE_BUSY : 0;',
        replace: 'const more = isBusy ? KEPT_WHILE_BUSY * 0 : 0;',
      },
    ],
    seed: 4,
  },
  {
    name: 'partial-success-released',
    breaks: 'What a failed worker names as done is given back with the rest.',
    edits: [
      {
        file: 'operator/plan/worker-verdict.ts',
        find: "succeeded?.has(index) ? 'done' : 'retry'",
        replace: "succeeded?.has(index) && size < 0 ? 'done' : 'retry'",
      },
    ],
    seed: 1,
  },
  {
    name: 'failed-batch-deleted',
    breaks: 'What a worker does not name as failed passes for done.',
    edits: [
      {
        file: 'operator/plan/worker-verdict.ts',
        find: "succeeded?.has(index) ? 'done' : 'retry'",
        replace: "succeeded?.has(index) || (named && !isRejected) ? 'done' : 'retry'",
      },
    ],
    seed: 1,
  },
  {
    name: 'fifo-released-first-to-last',
    breaks:
      'The messages of a group are given back in order, so that the first comes again while the last is still held.',
    edits: [
      {
        file: 'operator/plan/settlement.ts',
        find: 'const withFirst = followers.toReversed().map(',
        replace: 'const withFirst = followers.map(',
      },
      {
        file: 'operator/plan/settlement.ts',
        find: 'return [...done.map(verdict), ...withFirst, ...(first ? [verdict(first)] : [])];',
        replace: 'return [...done.map(verdict), ...(first ? [verdict(first)] : []), ...withFirst];',
      },
    ],
    seed: 4,
  },
  {
    name: 'fifo-group-twice',
    breaks: 'Messages of a group go into a second Job while the first one runs.',
    edits: [
      {
        file: 'operator/plan/batch.ts',
        find: 'if (busy.has(group)) return [];',
        replace: '',
      },
    ],
    seed: 4,
  },
  {
    name: 'receive-count-as-attempt',
    breaks: 'Receives that were no attempts count as attempts.',
    edits: [
      {
        file: 'operator/plan/dispatch.ts',
        find: 'claim ? known + 1 : Math.max(1, message.receiveCount)',
        replace: 'Math.max(1, message.receiveCount)',
      },
    ],
    seed: 28,
  },
  {
    name: 'success-forgotten',
    breaks: 'A message that is delivered again after its success is run again.',
    edits: [
      {
        file: 'operator/plan/dispatch.ts',
        find: "if (fate === 'deleted') return { kind: 'discard', message };",
        replace: '',
      },
    ],
    seed: 12,
  },
  {
    name: 'released-while-pods-run',
    breaks: 'The messages of a deleted Job are given back before its pods have ended.',
    edits: [
      {
        file: 'operator/plan/settlement.ts',
        find: `if (pods.running > 0) return { kind: 'stopPods', claim };
  return pods.terminating > 0 ? undefined :`,
        replace: `if (pods.running < 0) return { kind: 'stopPods', claim };
  return pods.terminating < 0 ? undefined :`,
      },
    ],
    seed: 13,
  },
  {
    name: 'held-is-run-again',
    breaks: 'A message that comes again while its Job runs is run as the next attempt.',
    edits: [
      {
        file: 'operator/plan/dispatch.ts',
        find: "return isNews ? { kind: 'adopt', message, claim, ledger } : { kind: 'forget', message };",
        replace:
          "return isNews ? (ledger ? run(message, claim) : { kind: 'wait', message }) : { kind: 'forget', message };",
      },
    ],
    seed: 1,
  },
  {
    name: 'rejected-forgotten',
    breaks: 'A message that its worker has rejected is run again.',
    edits: [
      {
        file: 'operator/plan/dispatch.ts',
        find: "if (fate === 'rejected') return 'RejectedBefore';",
        replace: '',
      },
    ],
    seed: 57,
  },
  {
    name: 'copied-after-delete',
    breaks: 'A rejected message is deleted before the dead-letter queue has its copy.',
    edits: [
      {
        file: 'operator/loops/telling-queue.ts',
        find: `  const { deadLetterArn } = action;
`,
        replace: `  const { deadLetterArn } = action;
  await deleteAll(verdicts, queue, world);
`,
      },
    ],
    seed: 28,
  },
  {
    name: 'job-before-its-secret',
    breaks: 'A Job is made before the Secret that its pods mount.',
    edits: [
      {
        file: 'operator/loops/claiming.ts',
        find: `    await makePayload(action, world);
    assertLeases(messages, world);
`,
        replace: `    assertLeases(messages, world);
`,
      },
    ],
    seed: 2,
  },
  {
    name: 'receive-without-room',
    breaks: 'Ten messages are received whatever there is room for.',
    edits: [
      {
        file: 'operator/loops/intake.ts',
        find: 'const asked = Math.min(target.perReceive, this.#roomLeft(target));',
        replace: 'const asked = this.#roomLeft(target) > 0 ? 10 : 0;',
      },
    ],
    seed: 9,
  },
  {
    name: 'limit-ignored',
    breaks: 'Jobs are made beyond maxConcurrentJobs.',
    edits: [
      {
        file: 'operator/plan/queue-plan.ts',
        find: 'return queue.spec.maxConcurrentJobs - taken.length - unconfirmed.length;',
        replace: 'return queue.spec.maxConcurrentJobs - unconfirmed.length * 0 - taken.length * 0;',
      },
    ],
    seed: 2,
  },
  {
    name: 'unanswered-create-sent-again',
    breaks: 'The messages of a create that nobody answered are dispatched anew while it may still come.',
    edits: [
      {
        file: 'operator/plan/dispatch.ts',
        find: "if (context.unconfirmedIds.has(message.id)) return { kind: 'wait', message };",
        replace: '',
      },
    ],
    seed: 47,
  },
  {
    name: 'late-renewal-trusted',
    breaks: 'A renewal that came after the lease had run out is taken for proof of it.',
    edits: [
      {
        file: 'operator/loops/heartbeat.ts',
        find: `if (kept.trustedUntilMs === 0) return;
`,
        replace: `if (!Number.isFinite(kept.trustedUntilMs)) return;
`,
      },
    ],
    seed: 20,
  },
  {
    name: 'fault-costs-an-attempt',
    breaks: 'A Job that the cluster ended counts as an attempt.',
    edits: [
      {
        file: 'operator/plan/infrastructure-fault.ts',
        find: 'return pods.neverStarted || wasTakenAway(pods.result);',
        replace: 'return pods.neverStarted && wasTakenAway(undefined);',
      },
    ],
    seed: 32,
  },
  {
    name: 'busy-polling',
    breaks: 'An idle queue is asked every second.',
    edits: [
      {
        file: 'operator/loops/intake.ts',
        find: 'const WAIT_SECONDS = 20;',
        replace: 'const WAIT_SECONDS = 1;',
      },
    ],
    seed: 1,
  },
  {
    name: 'status-clock',
    breaks: 'Status is written again and again although nothing has changed.',
    edits: [
      {
        file: 'operator/plan/status.ts',
        find: 'const moved = observedTime === undefined || !isSameJson(figures, before);',
        replace: "const moved = isSameJson(figures, before) || observedTime !== '';",
      },
    ],
    seed: 1,
  },
];
