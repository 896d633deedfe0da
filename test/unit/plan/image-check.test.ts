import { describe, expect, test } from '@jest/globals';
import { parseImageReference } from '../../../operator/api/image-reference.ts';
import { type ImageFinding, imageCheck } from '../../../operator/plan/image-check.ts';
import { type NodeFacts, nodeFactsFrom, nodesFor } from '../../../operator/plan/node-facts.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const IN_ECR = imageOf('123456789012.dkr.ecr.us-east-1.amazonaws.com/worker:1');
const AMD: NodeFacts = { labels: {}, taints: [], platform: 'linux/amd64', isEks: false };
const ARM: NodeFacts = { ...AMD, labels: { pool: 'graviton' }, platform: 'linux/arm64' };

function imageOf(text: string) {
  return { text, reference: parseImageReference(text) };
}

function resolved(platforms?: readonly string[]): ImageFinding {
  return { kind: 'resolved', image: IN_ECR, as: { digest: DIGEST, platforms } };
}

function problem(reason: string, certain: boolean): ImageFinding {
  return { kind: 'problem', image: IN_ECR, reason, message: 'words', certain };
}

const outside = (text: string): ImageFinding => ({ kind: 'outside', image: imageOf(text) });
const unasked: ImageFinding = {
  kind: 'unasked',
  image: IN_ECR,
  reason: 'NoIdentity',
  message: 'words',
  holds: true,
};

/** What is found, and what the condition says: status, reason, whether intake is held. */
const FINDINGS: readonly [string, readonly ImageFinding[], readonly NodeFacts[] | undefined, unknown[]][] = [
  ['a digest', [resolved(['linux/amd64'])], [AMD], ['True', 'Resolved', false]],
  ['a digest of platforms unknown', [resolved()], [AMD, ARM], ['True', 'Resolved', false]],
  ['nodes unknown', [resolved(['linux/s390x'])], undefined, ['True', 'Resolved', false]],
  ['an image of Docker Hub', [outside('python:3')], [AMD], ['True', 'OutsideEcr', false]],
  ['an image by its digest', [outside(`python@${DIGEST}`)], [AMD], ['True', 'Pinned', false]],
  ['both kinds', [outside('python:3'), resolved()], [AMD], ['True', 'Resolved', false]],
  ['no reference', [outside('No!')], [AMD], ['True', 'OutsideEcr', false]],
  ['no tag', [problem('ImageNotFound', true)], [AMD], ['False', 'ImageNotFound', true]],
  ['no right to ask', [problem('ImageAccessDenied', false)], [AMD], ['False', 'ImageAccessDenied', false]],
  [
    'the worse of two',
    [problem('ImageAccessDenied', false), problem('ImageNotFound', true)],
    [],
    ['False', 'ImageNotFound', true],
  ],
  ['nobody to ask', [unasked, outside('python:3')], [AMD], ['Unknown', 'NoIdentity', true]],
  ['a platform too few', [resolved(['linux/amd64'])], [AMD, ARM], ['False', 'PlatformMissing', false]],
  [
    'an index for all',
    [resolved(['linux/amd64', 'linux/arm64/v8'])],
    [AMD, ARM],
    ['True', 'Resolved', false],
  ],
];

describe('ImageResolved', () => {
  test.each(FINDINGS)('for %s', (_what, findings, nodes, [status, reason, holdsIntake]) => {
    const check = imageCheck(findings, { pod: { containers: [] }, nodes });
    expect(check).toMatchObject({ status, reason, holdsIntake });
  });

  test('looks only at nodes where a pod may come', () => {
    const pod = { containers: [], nodeSelector: { pool: 'graviton' } };
    const findings = [resolved(['linux/arm64'])];
    expect(imageCheck(findings, { pod, nodes: [AMD, ARM] }).reason).toBe('Resolved');
    expect(imageCheck(findings, { pod: { containers: [] }, nodes: [AMD, ARM] }).message).toContain(
      'is built for linux/arm64, and nodes where its pods may run are linux/amd64',
    );
  });
});

describe('a node', () => {
  const aNode = (kubeletVersion: string, labels: Record<string, string> = {}) => ({
    metadata: { name: 'node', labels },
    spec: { taints: [{ key: 'gpu', value: 'yes', effect: 'NoSchedule' }] },
    status: { nodeInfo: { architecture: 'arm64', operatingSystem: 'linux', kubeletVersion } },
  });

  test('tells its platform, and whether it is of EKS', () => {
    expect(nodeFactsFrom(aNode('v1.34.1'))).toMatchObject({ platform: 'linux/arm64', isEks: false });
    expect(nodeFactsFrom(aNode('v1.34.1-eks-113cf36'))).toMatchObject({ isEks: true });
    expect(nodeFactsFrom(aNode('v1.34.1', { 'eks.amazonaws.com/nodegroup': 'a' }))).toMatchObject({
      isEks: true,
    });
    expect(nodeFactsFrom({ metadata: { name: 'node' } })).toBeUndefined();
  });

  const tainted = nodeFactsFrom(aNode('v1')) ?? AMD;
  const required = (key: string, operator: string, values?: string[]) => ({
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key, operator, ...(values && { values }) }] }],
        },
      },
    },
  });
  const PLACEMENTS: readonly [string, object, NodeFacts, boolean][] = [
    ['nothing said', {}, ARM, true],
    ['a selector that fits', { nodeSelector: { pool: 'graviton' } }, ARM, true],
    ['a selector that does not', { nodeSelector: { pool: 'graviton' } }, AMD, false],
    ['In', required('pool', 'In', ['graviton']), ARM, true],
    ['In, not', required('pool', 'In', ['graviton']), AMD, false],
    ['NotIn', required('pool', 'NotIn', ['graviton']), ARM, false],
    ['NotIn, without the label', required('pool', 'NotIn', ['graviton']), AMD, true],
    ['Exists', required('pool', 'Exists'), AMD, false],
    ['DoesNotExist', required('pool', 'DoesNotExist'), AMD, true],
    ['a taint', {}, tainted, false],
    ['a toleration of it', { tolerations: [{ key: 'gpu', operator: 'Exists' }] }, tainted, true],
    [
      'a toleration of its value',
      { tolerations: [{ key: 'gpu', value: 'yes', effect: 'NoSchedule' }] },
      tainted,
      true,
    ],
    ['a toleration of another value', { tolerations: [{ key: 'gpu', value: 'no' }] }, tainted, false],
    ['a toleration of everything', { tolerations: [{ operator: 'Exists' }] }, tainted, true],
    [
      'cordoned',
      {},
      { ...AMD, taints: [{ key: 'node.kubernetes.io/unschedulable', value: '', effect: 'NoSchedule' }] },
      true,
    ],
  ];

  test.each(PLACEMENTS)('takes a pod: %s', (_what, pod, node, taken) => {
    expect(nodesFor({ containers: [], ...pod }, [node])).toHaveLength(taken ? 1 : 0);
  });
});
