import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { stripPod } from '../../../operator/kube/pod-strip.ts';
import { claimFrom } from '../../../operator/plan/claim.ts';
import type { Claim } from '../../../operator/plan/job-facts.ts';
import { type JobStart, jobStart } from '../../../operator/plan/job-start.ts';
import { podFactsFrom } from '../../../operator/plan/pod-facts.ts';
import type { StartEvents } from '../../../operator/plan/start-facts.ts';
import { steadyWords } from '../../../operator/plan/start-trouble.ts';
import type { KubeObject } from '../../../operator/ports.ts';
import { aClaim, aJob } from '../../support/builders.ts';

/**
 * Pods and events of a real node (Kubernetes 1.36, containerd), whose Jobs were all created at 02:54:32: a snapshot three
 * seconds later and one 46 seconds later.
 */
const podSchema = z.custom<KubeObject>((value) => typeof value === 'object');
const recorded = z
  .object({
    after3s: z.record(z.string(), podSchema),
    after46s: z.record(z.string(), podSchema),
    events: z.array(
      z.object({
        regarding: z.object({ name: z.string(), uid: z.string() }),
        reason: z.string(),
        note: z.string(),
        deprecatedLastTimestamp: z.string(),
      }),
    ),
  })
  .parse(JSON.parse(readFileSync(new URL('recorded-starts.json', import.meta.url), 'utf8')));

const CREATED_MS = Date.parse('2026-11-27T02:54:32Z');
const LATER_MS = CREATED_MS + 46_000;

/** What stood there of this Job's pod then. */
function podOf(job: string, snapshot: 'after3s' | 'after46s' = 'after46s'): KubeObject {
  const pod = recorded[snapshot][job];
  if (!pod) throw new Error(`nothing was recorded of ${job}`);
  return stripPod(pod);
}

/** A Job of that age; its name and uid do not matter to its pods here. */
function jobCreatedAt(creationTimestamp: string, uid = 'job-uid'): Claim {
  const job = aJob();
  return claimFrom({ ...job, metadata: { ...job.metadata, uid, creationTimestamp } });
}

const JOB = jobCreatedAt('2026-11-27T02:54:32Z');

/** The events that were told about this object, as read a moment ago. */
function eventsAbout(name: string): Map<string, StartEvents> {
  const told = recorded.events.filter(({ regarding }) => regarding.name.startsWith(name));
  const [first] = told;
  if (!first) throw new Error(`no event was recorded about ${name}`);
  const events = told.map(({ reason, note, deprecatedLastTimestamp }) => ({
    reason,
    note,
    lastSeenMs: Date.parse(deprecatedLastTimestamp),
  }));
  return new Map([[first.regarding.uid, { readAtMs: LATER_MS, events }]]);
}

interface View {
  readonly nowMs?: number;
  readonly events?: Map<string, StartEvents>;
  readonly claim?: Claim;
}

function startOf(
  pods: readonly KubeObject[],
  { nowMs = LATER_MS, events, claim = JOB }: View = {},
): JobStart {
  return jobStart(claim, pods.map(podFactsFrom), { nowMs, events: events ?? new Map() });
}

describe('a pod that cannot start', () => {
  test.each<[string, string, 'template' | 'capacity', RegExp]>([
    [
      'bad-tag',
      'ImagePullFailing',
      'template',
      /^failed to pull and unpack image "localhost:1\/nothing:1": .*connection refused$/,
    ],
    ['bad-host', 'ImagePullFailing', 'template', /^failed to pull .*lookup registry.invalid .*i\/o timeout$/],
    ['bad-init', 'ImagePullFailing', 'template', /^failed to pull and unpack image "localhost:1\/init:1"/],
    [
      'bad-name',
      'InvalidImageName',
      'template',
      /invalid reference format: repository name \(Case\) must be lowercase$/,
    ],
    [
      'never',
      'ImagePullFailing',
      'template',
      /^Container image "localhost\/none:1" is not present with pull policy of Never$/,
    ],
    ['no-secret-env', 'SecretNotFound', 'template', /^secret "missing" not found$/],
    ['no-cm-envfrom', 'ConfigMapNotFound', 'template', /^configmap "missing" not found$/],
    [
      'nonroot',
      'CreateContainerConfigError',
      'template',
      /^container's runAsUser breaks non-root policy \(container: worker\)$/,
    ],
    ['no-pvc', 'VolumeClaimNotFound', 'template', /persistentvolumeclaim "missing" not found/],
    ['bad-cmd', 'ContainerNotStarted', 'template', /exec: "\/nope": stat \/nope: no such file or directory/],
    ['big', 'Unschedulable', 'capacity', /^0\/1 nodes are available: 1 Insufficient cpu\./],
    ['selector', 'Unschedulable', 'capacity', /didn't match Pod's node affinity\/selector/],
    ['gated', 'SchedulingGated', 'capacity', /non-empty scheduling gates/],
  ])('%s is told as %s, a fault of the %s, in the words of Kubernetes', (job, reason, fault, message) => {
    expect(startOf([podOf(job)])).toMatchObject({
      kind: 'trouble',
      trouble: { reason, fault, message: expect.stringMatching(message) },
    });
  });

  test.each(['no-secret-vol', 'no-hostpath'])('%s: only its events would tell why', (job) => {
    const pod = podOf(job);
    expect(startOf([pod])).toMatchObject({
      kind: 'starting',
      unexplained: { kind: 'Pod', name: pod.metadata.name, uid: pod.metadata.uid },
    });
  });

  test.each<[string, string, RegExp, number]>([
    [
      'no-secret-vol',
      'SecretNotFound',
      /^MountVolume.SetUp failed for volume "v" : secret "missing" not found$/,
      30_000,
    ],
    [
      'no-hostpath',
      'VolumeNotMounted',
      /hostPath type check failed: \/nonexistent is not a directory$/,
      60_000,
    ],
  ])('%s is told as %s once its events are read', (job, reason, message, graceMs) => {
    const view = { events: eventsAbout(job), nowMs: CREATED_MS + graceMs };
    expect(startOf([podOf(job)], view)).toMatchObject({
      kind: 'trouble',
      trouble: { reason, fault: 'template', message: expect.stringMatching(message) },
      unexplained: { kind: 'Pod' },
    });
    expect(startOf([podOf(job)], { ...view, nowMs: view.nowMs - 1 })).toMatchObject({ kind: 'starting' });
  });
});

describe('a Job without a pod', () => {
  test.each<[string, string, RegExp]>([
    [
      'no-sa',
      'ServiceAccountNotFound',
      /^error looking up service account rec\/missing: serviceaccount "missing" not found$/,
    ],
    ['quota', 'QuotaExceeded', /^exceeded quota: no-pods, requested: pods=1, used: pods=0, limited: pods=0$/],
    [
      'psa',
      'AdmissionDenied',
      /^violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false/,
    ],
    ['limits', 'AdmissionDenied', /^maximum memory usage per Container is 10Mi, but limit is 100Mi$/],
  ])('%s is told as %s', (name, reason, message) => {
    const events = eventsAbout(name);
    const [uid = ''] = events.keys();
    expect(startOf([], { events, claim: jobCreatedAt('2026-11-27T02:54:32Z', uid) })).toMatchObject({
      kind: 'trouble',
      trouble: { reason, fault: 'template', message: expect.stringMatching(message) },
    });
  });

  test('has 30 seconds before anybody asks for its events', () => {
    expect(startOf([], { nowMs: CREATED_MS + 29_999 })).toEqual({
      kind: 'starting',
      lookAgainAtMs: CREATED_MS + 30_000,
      unexplained: undefined,
    });
    expect(startOf([], { nowMs: CREATED_MS + 30_000 })).toMatchObject({
      kind: 'starting',
      unexplained: { kind: 'Job', uid: 'job-uid' },
    });
  });

  test('is not in trouble while somebody holds it suspended', () => {
    const { job } = JOB;
    const claim = claimFrom({ ...job, spec: { ...Object(job['spec']), suspend: true } });
    expect(startOf([], { claim })).toEqual({
      kind: 'starting',
      lookAgainAtMs: undefined,
      unexplained: undefined,
    });
  });

  test('whose pod was taken away waits for the next one, and old events are no news', () => {
    const events = eventsAbout('no-sa');
    const [uid = ''] = events.keys();
    const claim = jobCreatedAt('2026-11-27T02:54:32Z', uid);
    const nowMs = CREATED_MS + 2_000_000;
    expect(startOf([], { events, claim, nowMs })).toMatchObject({
      kind: 'starting',
      unexplained: { kind: 'Job' },
    });
  });
});

describe('a grace', () => {
  test.each(['bad-tag', 'no-secret-env', 'no-pvc', 'big'])(
    '%s is no trouble before 30 seconds have passed',
    (job) => {
      const sandboxMs = CREATED_MS + (job === 'bad-tag' || job === 'no-secret-env' ? 1_000 : 0);
      expect(startOf([podOf(job)], { nowMs: sandboxMs + 29_999 })).toMatchObject({
        kind: 'starting',
        lookAgainAtMs: sandboxMs + 30_000,
      });
      expect(startOf([podOf(job)], { nowMs: sandboxMs + 30_000 })).toMatchObject({ kind: 'trouble' });
    },
  );

  test.each(['bad-name', 'never', 'bad-cmd'])('is not given to %s, which will never be right', (job) => {
    expect(startOf([podOf(job)], { nowMs: CREATED_MS + 1_000 })).toMatchObject({ kind: 'trouble' });
  });

  test('begins when the pod gets to its node, not while it waits for one', () => {
    const pod = podOf('bad-tag');
    const scheduledAt = '2026-11-27T03:10:00Z';
    const conditions = [
      { type: 'PodScheduled', status: 'True', lastTransitionTime: scheduledAt },
      { type: 'PodReadyToStartContainers', status: 'True', lastTransitionTime: scheduledAt },
    ];
    const late = { ...pod, status: { ...Object(pod['status']), conditions } };
    const nowMs = Date.parse(scheduledAt) + 20_000;
    expect(startOf([late], { nowMs })).toMatchObject({ kind: 'starting', lookAgainAtMs: nowMs + 10_000 });
  });
});

describe('a pod that starts', () => {
  test('is no trouble while its image is being pulled, however long that takes', () => {
    const pod = podOf('bad-host', 'after3s');
    expect(startOf([pod], { nowMs: CREATED_MS + 3_600_000 })).toEqual({
      kind: 'starting',
      lookAgainAtMs: undefined,
      unexplained: undefined,
    });
  });

  test('has started once its worker has run, whatever became of it', () => {
    expect(startOf([podOf('runs')])).toEqual({ kind: 'started', atMs: CREATED_MS + 1_000 });
  });

  test('counts although another pod of the same Job does not start', () => {
    expect(startOf([podOf('bad-tag'), podOf('runs'), podOf('big')])).toMatchObject({ kind: 'started' });
  });

  test('that is being deleted is not to blame', () => {
    const pod = podOf('bad-tag');
    const deleted = { ...pod, metadata: { ...pod.metadata, deletionTimestamp: '2026-11-27T02:55:00Z' } };
    expect(startOf([deleted], { nowMs: CREATED_MS + 10_000 })).toMatchObject({ kind: 'starting' });
  });

  test('of a Job that has failed is trouble only if its worker never ran', () => {
    const failed = aClaim({ outcome: 'failed' });
    expect(startOf([podOf('bad-cmd')], { claim: failed })).toMatchObject({ kind: 'trouble' });
    expect(startOf([], { claim: failed })).toMatchObject({ kind: 'starting', unexplained: undefined });
  });

  test('is told apart from one whose init container fails', () => {
    const pod = podOf('bad-init');
    const status = {
      phase: 'Failed',
      initContainerStatuses: [
        {
          name: 'init',
          state: { terminated: { exitCode: 3, message: 'no schema', startedAt: '2026-11-27T02:54:33Z' } },
        },
      ],
      containerStatuses: [{ name: 'worker', state: { waiting: { reason: 'PodInitializing' } } }],
    };
    expect(startOf([{ ...pod, status }])).toMatchObject({
      kind: 'trouble',
      trouble: {
        reason: 'InitContainerFailed',
        message: 'init container init ended with exit code 3: no schema',
      },
    });
  });
});

describe('the words of a trouble', () => {
  test.each<[string, string]>([
    ['Back-off pulling image "a:1": ErrImagePull: not found', 'not found'],
    ['Back-off pulling image "a:1"', 'Back-off pulling image "a:1"'],
    [
      '(combined from similar events): Error creating: pods "a-x1b2c" is forbidden: exceeded quota: q',
      'exceeded quota: q',
    ],
    [
      'back-off 2m40s restarting failed container=worker pod=a-x1',
      'back-off restarting failed container=worker pod=the pod',
    ],
    [
      'read udp 10.87.1.2:35818->10.255.255.53:53: i/o timeout',
      'read udp 10.87.1.2->10.255.255.53:53: i/o timeout',
    ],
  ])('%s do not move from try to try', (words, steady) => {
    expect(steadyWords(words, 'a-x1')).toBe(steady);
  });

  test('are cut to what a status can hold', () => {
    expect(steadyWords('x'.repeat(5_000)).length).toBe(1_024);
  });
});

test('a pod with a status that cannot be read is one that has not started', () => {
  expect(startOf([{ metadata: { name: 'odd' }, status: { phase: 7, conditions: 'none' } }])).toMatchObject({
    kind: 'starting',
  });
});
