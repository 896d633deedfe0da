import { describe, expect, test } from '@jest/globals';
import type { BatchQueue } from '../../../operator/api/batch-queue.ts';
import { OperatorError } from '../../../operator/errors.ts';
import { storageCheck } from '../../../operator/loops/checking-storage.ts';
import { templateOf } from '../../../operator/plan/revision.ts';
import type { KubeObject, ObjectMeta } from '../../../operator/ports.ts';
import { aQueue } from '../../support/builders.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const FOUND = { 'pv.kubernetes.io/bound-by-controller': 'yes' };
const MADE = { 'pv.kubernetes.io/provisioned-by': 'efs.csi.aws.com' };

type Fields = Readonly<Record<string, unknown>>;

function object(kind: string, metadata: ObjectMeta, fields: Fields): KubeObject {
  return { apiVersion: 'v1', kind, metadata, ...fields };
}

function claim(phase: string, spec: Fields = {}, metadata: Fields = {}): KubeObject {
  const asked = { accessModes: ['ReadWriteMany'], storageClassName: 'efs-sc', ...spec };
  return object(
    'PersistentVolumeClaim',
    { name: 'efs-claim', namespace: 'shop', uid: 'claim-uid', ...metadata },
    { spec: asked, status: { phase } },
  );
}

function volume(phase: string, spec: Fields = {}, { annotations = {}, name = 'efs-pv' } = {}): KubeObject {
  const source = { csi: { driver: 'efs.csi.aws.com', volumeHandle: 'fs-0ff53d77cb74d6474' } };
  const base = { accessModes: ['ReadWriteMany'], storageClassName: 'efs-sc' };
  return object(
    'PersistentVolume',
    { name, annotations },
    { spec: { ...base, ...('nfs' in spec || 'hostPath' in spec ? {} : source), ...spec }, status: { phase } },
  );
}

const CLASS = object('StorageClass', { name: 'efs-sc' }, { provisioner: 'efs.csi.aws.com' });
const DRIVER = object('CSIDriver', { name: 'efs.csi.aws.com' }, {});
const NODE = object('CSINode', { name: 'a' }, { spec: { drivers: [{ name: 'efs.csi.aws.com' }] } });
const BARE_NODE = object('CSINode', { name: 'a' }, { spec: { drivers: null } });
const TUTORIAL_NFS = { server: 'fs-0ff53d77cb74d6474.efs.us-east-1.amazonaws.com', path: '/' };
const OURS = { namespace: 'shop', name: 'efs-claim', uid: 'another' };

const PLURALS: Readonly<Record<string, string>> = {
  persistentvolumeclaims: 'PersistentVolumeClaim',
  persistentvolumes: 'PersistentVolume',
  storageclasses: 'StorageClass',
  csidrivers: 'CSIDriver',
  csinodes: 'CSINode',
  events: 'Event',
};

/** The answer in a cluster with these objects, and what was read for it. */
async function answer(objects: readonly KubeObject[], hidden: readonly string[] = [], queue = aQueueWith()) {
  const reads: string[] = [];
  const seen = (plural: string) => {
    if (hidden.includes(plural))
      throw new OperatorError({ code: 'Forbidden', verdict: 'terminal', message: `no ${plural} for you` });
    return objects.filter(({ kind }) => kind === PLURALS[plural]);
  };
  const clock = new VirtualClock();
  const check = storageCheck({
    clock,
    kube: {
      get: async (resource, _namespace, name) => {
        reads.push(`get ${resource.plural}`);
        await Promise.resolve();
        return seen(resource.plural).find(({ metadata }) => metadata.name === name);
      },
      list: async (resource) => {
        reads.push(`list ${resource.plural}`);
        await Promise.resolve();
        return { items: [...seen(resource.plural)], resourceVersion: '1' };
      },
    },
  });
  const { status, reason, message, holdsIntake, recheckAfterMs } = await check.run({
    queue,
    template: templateOf(queue),
  });
  const told = `${status} ${reason}${holdsIntake ? ', held' : ''}`;
  return { told, message, reads: reads.toSorted(), recheckAfterMs, check, clock };
}

function aQueueWith(spec: Partial<BatchQueue['spec']> = {}): BatchQueue {
  return aQueue({ spec: { storage: { claimName: 'efs-claim', mountPath: '/efs' }, ...spec } });
}

const BOUND = claim('Bound', { volumeName: 'efs-pv' });
/** Bound without anybody having said to what. */
const LUCKY = claim('Bound', { volumeName: 'efs-pv' }, { annotations: FOUND });
const NEW = { creationTimestamp: new Date(new VirtualClock().now() - 5_000).toISOString() };

const CASES: readonly [told: string, words: string, objects: readonly KubeObject[], what: string][] = [
  ['True Bound', 'is bound to volume efs-pv', [BOUND, volume('Bound'), DRIVER, NODE], 'an EFS volume'],
  ['True Bound', 'efs-pv', [BOUND, volume('Bound', { hostPath: { path: '/a' } })], 'another volume'],
  ['True Bound', 'efs-pv', [BOUND, volume('Bound', { nfs: { server: '10.0.0.7', path: '/' } })], 'real NFS'],
  [
    'True Bound',
    'efs-pv',
    [
      claim('Bound', { volumeName: 'efs-pv', accessModes: ['ReadWriteOnce'] }),
      volume('Bound', { accessModes: ['ReadWriteOnce', 'ReadWriteMany'] }),
      NODE,
    ],
    'a volume that can do more than the claim asks for',
  ],
  [
    'True WaitsForFirstPod',
    'first pod',
    [
      claim('Pending'),
      object(
        'StorageClass',
        { name: 'efs-sc' },
        { provisioner: 'x', volumeBindingMode: 'WaitForFirstConsumer' },
      ),
    ],
    'a class that waits for a pod',
  ],
  ['False VolumeClaimNotFound, held', 'Create it, or correct spec.storage.claimName', [], 'no claim'],
  [
    'False VolumeClaimTerminating, held',
    'Make it again',
    [
      claim('Bound', { volumeName: 'efs-pv' }, { deletionTimestamp: '2026-01-01T00:00:00Z' }),
      volume('Bound'),
    ],
    'a claim that goes',
  ],
  [
    'False VolumeClaimLost, held',
    'kubectl delete pvc efs-claim -n shop',
    [claim('Lost', { volumeName: 'efs-pv' })],
    'a lost claim',
  ],
  ['False VolumeClaimLost, held', 'efs-pv', [BOUND], 'a claim whose volume has just gone'],
  ['Unknown Checking, held', 'is being bound', [claim('Pending', {}, NEW)], 'a claim that was just made'],
  [
    'False VolumeNotFound, held',
    'efs-pv, which does not exist',
    [claim('Pending', { volumeName: 'efs-pv' })],
    'a volume that is missing',
  ],
  [
    'False VolumeTaken, held',
    'belongs to claim shop/other',
    [
      claim('Pending', { volumeName: 'efs-pv' }),
      volume('Bound', { claimRef: { namespace: 'shop', name: 'other' } }),
    ],
    'a volume of somebody else',
  ],
  [
    'False VolumeReleased, held',
    `kubectl patch pv efs-pv --type=json -p '[{"op":"remove","path":"/spec/claimRef"}]'`,
    [claim('Pending', { volumeName: 'efs-pv' }), volume('Released', { claimRef: OURS })],
    'a volume by name that was released',
  ],
  [
    'False VolumeReleased, held',
    'kubectl patch pv efs-pv',
    [claim('Pending', {}, NEW), volume('Released', { claimRef: OURS }), CLASS],
    'a volume of a deleted claim of this name',
  ],
  [
    'False StorageClassNotFound, held',
    'no StorageClass',
    [claim('Pending'), volume('Released', { claimRef: { namespace: 'foreign', name: 'efs-claim' } })],
    'nothing to bind to, but what another namespace left',
  ],
  [
    'False CSIDriverNotFound, held',
    'aws-efs-csi-driver',
    [claim('Pending'), CLASS, BARE_NODE],
    'a class whose driver is not installed',
  ],
  [
    'False VolumeClaimNotBound, held',
    'Kubernetes says: no file system. StorageClass efs-sc should make one',
    [
      claim('Pending'),
      CLASS,
      DRIVER,
      NODE,
      object('Event', { name: 'a' }, { reason: 'ProvisioningFailed', note: 'no file system.' }),
      object(
        'Event',
        { name: 'b' },
        {
          reason: 'Provisioning',
          note: 'External provisioner is provisioning',
          eventTime: '2026-01-01T00:00:00Z',
        },
      ),
    ],
    'a driver that fails',
  ],
  [
    'False VolumeClaimNotBound, held',
    'Create a PersistentVolume with storageClassName ""',
    [claim('Pending', { storageClassName: '' })],
    'no volume without a class',
  ],
  [
    'False VolumeModeBlock, held',
    'volumeMode: Filesystem',
    [claim('Bound', { volumeName: 'efs-pv', volumeMode: 'Block' }), volume('Bound')],
    'a block device',
  ],
  [
    'False NotReadWriteMany',
    'Claim efs-claim is ReadWriteOnce, not ReadWriteMany',
    [
      claim('Bound', { volumeName: 'efs-pv', accessModes: ['ReadWriteOnce'] }),
      volume('Bound', { accessModes: ['ReadWriteOnce'] }),
    ],
    'a volume for one node',
  ],
  [
    'False VolumeHandleInvalid',
    '"fs-XXXX" is no file system ID. Make the volume again with fs-ID',
    [BOUND, volume('Bound', { csi: { driver: 'efs.csi.aws.com', volumeHandle: 'fs-XXXX' } }), DRIVER, NODE],
    'a handle from a template',
  ],
  [
    'False CSIDriverNotFound',
    'Install the EKS add-on aws-efs-csi-driver',
    [BOUND, volume('Bound'), BARE_NODE],
    'no driver',
  ],
  [
    'False CSIDriverNotOnNodes',
    'no node has it',
    [BOUND, volume('Bound'), DRIVER, BARE_NODE],
    'a driver on no node',
  ],
  [
    'True Bound',
    'efs-pv',
    [BOUND, volume('Bound'), object('CSINode', { name: 'fargate-ip-10-0-0-1' }, { spec: {} })],
    'nodes of Fargate, which need no driver',
  ],
  [
    'False EfsThroughNfs',
    'csi: {driver: efs.csi.aws.com, volumeHandle: "fs-0ff53d77cb74d6474"}',
    [BOUND, volume('Bound', { nfs: TUTORIAL_NFS })],
    'EFS through nfs',
  ],
  [
    'False EfsThroughNfs',
    'volumeHandle: "fs-0ff53d77cb74d6474:/data"}',
    [BOUND, volume('Bound', { nfs: { ...TUTORIAL_NFS, path: '/data' } })],
    'a path of EFS through nfs',
  ],
  [
    'False StaticVolumeRace',
    'make the claim with volumeName, or both with storageClassName ""',
    [LUCKY, volume('Bound', {}, { annotations: FOUND }), CLASS, DRIVER, NODE],
    'a volume by chance',
  ],
  [
    'True Bound',
    'efs-pv',
    [
      LUCKY,
      volume('Bound', {}, { annotations: FOUND }),
      object('StorageClass', { name: 'efs-sc' }, { provisioner: 'kubernetes.io/no-provisioner' }),
      DRIVER,
      NODE,
    ],
    'a class that makes nothing',
  ],
  [
    'True Bound',
    'efs-pv',
    [LUCKY, volume('Bound', {}, { annotations: FOUND }), DRIVER, NODE],
    'a class that is only a word',
  ],
  [
    'False StaticVolumeUnused',
    'while volume efs-pv of that class, made by hand, is not used',
    [
      claim('Bound', { volumeName: 'pvc-1' }, { annotations: FOUND }),
      volume('Bound', {}, { name: 'pvc-1', annotations: MADE }),
      volume('Available'),
      CLASS,
      DRIVER,
      NODE,
    ],
    'a volume made on demand beside one made by hand',
  ],
  [
    'False EfsThroughNfs',
    'got volume efs-pv by chance',
    [LUCKY, volume('Bound', { nfs: TUTORIAL_NFS }, { annotations: FOUND }), CLASS],
    'everything that is wrong, the first in the reason and all in words',
  ],
];

test.each(CASES.map(([told, words, objects, what]) => [what, told, words, objects] as const))(
  'for %s StorageReady is %s (%s)',
  async (_, told, words, objects) => {
    const said = await answer(objects);
    expect(said.told).toBe(told);
    expect(said.message).toContain(words);
  },
);

describe('what the operator may not look at', () => {
  test('is told, and holds nothing', async () => {
    const said = await answer([BOUND], ['persistentvolumes', 'storageclasses', 'csidrivers', 'csinodes']);
    expect(said.told).toBe('True VolumeNotInspected');
    expect(said.message).toContain('may not get persistentvolumes');
  });

  test.each([['csidrivers'], ['csinodes'], ['storageclasses'], ['events']])('%s', async (hidden) => {
    expect((await answer([BOUND, volume('Bound'), BARE_NODE], [hidden, 'csinodes'])).told).toBe('True Bound');
    expect((await answer([claim('Pending'), CLASS], [hidden, 'csidrivers'])).told).toBe(
      'False VolumeClaimNotBound, held',
    );
  });

  test('claims: nothing is known', async () => {
    await expect(answer([BOUND], ['persistentvolumeclaims'])).rejects.toThrow('no persistentvolumeclaims');
  });
});

describe('the check', () => {
  test('reads nothing without storage', async () => {
    const said = await answer([], [], aQueue());
    expect(said).toMatchObject({ told: 'True NotUsed', reads: [] });
  });

  test('reads little of a claim that is in order, and lists no volumes', async () => {
    const said = await answer([BOUND, volume('Bound'), CLASS, DRIVER, NODE]);
    expect(said.reads).toEqual([
      'get csidrivers',
      'get persistentvolumeclaims',
      'get persistentvolumes',
      'get storageclasses',
      'list csinodes',
    ]);
    expect(said.recheckAfterMs).toBeUndefined();
  });

  test('comes back soon for what holds intake, sooner while a claim is being bound', async () => {
    expect((await answer([])).recheckAfterMs).toBe(15_000);
    expect((await answer([claim('Pending', {}, NEW)])).recheckAfterMs).toBe(2_000);
  });

  test('looks at every claim that a template names; the worst counts', async () => {
    const template = {
      spec: {
        template: {
          spec: {
            containers: [{ name: 'worker', image: 'worker:1' }],
            volumes: [
              { name: 'again', persistentVolumeClaim: { claimName: 'efs-claim' } },
              { name: 'more', persistentVolumeClaim: { claimName: 'models' } },
              { name: 'none', emptyDir: {} },
            ],
          },
        },
      },
    };
    const queue = aQueueWith({ jobTemplate: template });
    const said = await answer([BOUND, volume('Bound'), DRIVER, NODE], [], queue);
    expect(said.told).toBe('False VolumeClaimNotFound, held');
    expect(said.message).toBe(
      'There is no PersistentVolumeClaim models in this namespace. Create it, or correct a volume of spec.jobTemplate.',
    );
    expect(said.check.dependsOn({ queue, template: templateOf(queue) })).toEqual([
      { claimName: 'efs-claim', usedBy: 'spec.storage.claimName' },
      { claimName: 'models', usedBy: 'a volume of spec.jobTemplate' },
    ]);
  });
});
