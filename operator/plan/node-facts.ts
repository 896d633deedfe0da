import { z } from 'zod';
import type { PodSpec } from '../api/batch-queue.ts';
import type { KubeObject } from '../ports.ts';

/** What is read of a node to tell whether an image runs there, and how it gets there. */
export interface NodeFacts {
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
  /** `os/architecture`. */
  readonly platform: string;
  /** A node of EKS: its kubelet pulls from ECR with the node's own role. */
  readonly isEks: boolean;
}

type Taint = z.output<typeof taintSchema>;

const text = z.string().catch('').default('');
const taintSchema = z.object({ key: text, value: text, effect: text });
const nodeSchema = z.object({
  spec: z.object({ taints: z.array(taintSchema).catch([]).default([]) }).catch({ taints: [] }),
  status: z.object({
    nodeInfo: z.object({ architecture: text, operatingSystem: text, kubeletVersion: text }),
  }),
});

/** EKS puts labels of this kind on the nodes of its node groups and of Fargate … */
const EKS_LABEL = /^eks\.amazonaws\.com\//;
/** … and every kubelet of its machine images, whoever starts them, says so in its version. */
const EKS_VERSION = /-eks-/;

/** Reads a node; undefined when it does not tell what it is. */
export function nodeFactsFrom(node: KubeObject): NodeFacts | undefined {
  const read = nodeSchema.safeParse(node);
  if (!read.success) return undefined;
  const { spec, status } = read.data;
  const { architecture, operatingSystem, kubeletVersion } = status.nodeInfo;
  const { labels = {} } = node.metadata;
  const isEks = EKS_VERSION.test(kubeletVersion) || Object.keys(labels).some((key) => EKS_LABEL.test(key));
  return { labels, taints: spec.taints, platform: `${operatingSystem}/${architecture}`, isEks };
}

const tolerationSchema = z.object({ key: text, operator: text, value: text, effect: text });
const requirementSchema = z.object({
  key: z.string(),
  operator: text,
  values: z.array(z.string()).default([]),
});
type Requirement = z.output<typeof requirementSchema>;

const placementSchema = z.object({
  nodeSelector: z.record(z.string(), z.string()).default({}),
  tolerations: z.array(tolerationSchema).default([]),
  affinity: z
    .object({
      nodeAffinity: z
        .object({
          requiredDuringSchedulingIgnoredDuringExecution: z
            .object({
              nodeSelectorTerms: z.array(
                z.object({ matchExpressions: z.array(requirementSchema).default([]) }),
              ),
            })
            .optional(),
        })
        .optional(),
    })
    .optional(),
});
type Placement = z.output<typeof placementSchema>;

/**
 * The nodes where the scheduler may put such a pod, by selector, affinity and taints; what it reads beyond that only makes
 * them fewer. A node that is cordoned counts: it comes back.
 */
export function nodesFor(pod: PodSpec, nodes: readonly NodeFacts[]): readonly NodeFacts[] {
  const read = placementSchema.safeParse(pod);
  if (!read.success) return nodes;
  return nodes.filter((node) => isSelected(node, read.data) && isTolerated(node, read.data));
}

function isSelected({ labels }: NodeFacts, { nodeSelector, affinity }: Placement): boolean {
  const terms =
    affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  return (
    Object.entries(nodeSelector).every(([key, value]) => labels[key] === value) &&
    (terms.length === 0 ||
      terms.some(({ matchExpressions }) => matchExpressions.every((wanted) => meets(labels, wanted))))
  );
}

function meets(labels: NodeFacts['labels'], { key, operator, values }: Requirement): boolean {
  const value = labels[key];
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    default:
      return true;
  }
}

/** The taint of a cordoned node. */
const CORDONED = 'node.kubernetes.io/unschedulable';

function isTolerated({ taints }: NodeFacts, { tolerations }: Placement): boolean {
  return taints
    .filter(({ key, effect }) => effect !== 'PreferNoSchedule' && key !== CORDONED)
    .every((taint) =>
      tolerations.some(
        ({ key, operator, value, effect }) =>
          (effect === '' || effect === taint.effect) &&
          (key === '' || key === taint.key) &&
          (operator === 'Exists' || (key !== '' && value === taint.value)),
      ),
    );
}
