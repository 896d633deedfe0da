import { z } from 'zod';
import type { KubeObject } from '../ports.ts';

/** PersistentVolumeClaims and what is behind them, read as far as it decides. */

/** What was seen of an object: itself, that there is none, or that the operator may not look. */
export type Seen<T> = T | 'absent' | 'hidden';

/** A PersistentVolumeClaim. */
export interface VolumeClaim {
  readonly name: string;
  readonly namespace: string;
  readonly phase: string;
  readonly deleting: boolean;
  /** Of the volume that it is bound to, or asks for; empty: none yet. */
  readonly volumeName: string;
  /** Empty: only volumes without a class will do. */
  readonly className: string;
  readonly accessModes: readonly string[];
  readonly isBlock: boolean;
  /** The volume was found for it; it did not ask for this one. */
  readonly boundByController: boolean;
  readonly createdAtMs: number;
}

/** A PersistentVolume. */
export interface Volume {
  readonly name: string;
  readonly phase: string;
  readonly className: string;
  readonly accessModes: readonly string[];
  readonly csi: { readonly driver: string; readonly volumeHandle: string } | undefined;
  readonly nfs: { readonly server: string; readonly path: string } | undefined;
  readonly claimRef: { readonly namespace: string; readonly name: string } | undefined;
  /** Made on demand, for one claim. */
  readonly provisioned: boolean;
  /** The claim was found for it; it was not made for this one. */
  readonly boundByController: boolean;
}

/** A StorageClass. */
export interface VolumeClass {
  readonly name: string;
  readonly provisioner: string;
  /** A claim gets its volume when its first pod is scheduled. */
  readonly waitsForPod: boolean;
}

/** Everything that is known of one claim. */
export interface ClaimFacts {
  readonly claimName: string;
  /** Field of the BatchQueue that names it. */
  readonly usedBy: string;
  readonly claim: VolumeClaim | undefined;
  /** The volume that the claim names; undefined: it names none. */
  readonly volume: Seen<Volume> | undefined;
  /** Undefined: it has none. */
  readonly storageClass: Seen<VolumeClass> | undefined;
  /** Of the volume's CSI driver, or of what would make a volume; undefined: there is none, or it is not a CSI driver. */
  readonly driver: DriverFacts | undefined;
  /** Every volume, where it matters: the claim is not bound, or its volume was made on demand. */
  readonly volumes: readonly Volume[];
  /** What Kubernetes says about a claim that is not bound. */
  readonly words: string | undefined;
  readonly nowMs: number;
}

export interface DriverFacts {
  readonly name: string;
  /** Whether there is a CSIDriver object. */
  readonly object: Seen<'present'>;
  /** Whether any node has it. */
  readonly onNodes: boolean | 'hidden';
}

const FOUND_FOR_IT = 'pv.kubernetes.io/bound-by-controller';
const PROVISIONED = 'pv.kubernetes.io/provisioned-by';

const claimSchema = z.object({
  spec: z.object({
    volumeName: z.string().default(''),
    storageClassName: z.string().default(''),
    accessModes: z.array(z.string()).default([]),
    volumeMode: z.string().optional(),
  }),
  status: z.object({ phase: z.string().default('Pending') }).default({ phase: 'Pending' }),
});

export function volumeClaimFrom(object: KubeObject): VolumeClaim {
  const { spec, status } = claimSchema.parse(object);
  const { name, namespace = '', annotations = {}, deletionTimestamp, creationTimestamp } = object.metadata;
  return {
    name,
    namespace,
    phase: status.phase,
    deleting: deletionTimestamp !== undefined,
    volumeName: spec.volumeName,
    className: spec.storageClassName,
    accessModes: spec.accessModes,
    isBlock: spec.volumeMode === 'Block',
    boundByController: annotations[FOUND_FOR_IT] === 'yes',
    createdAtMs: Date.parse(creationTimestamp ?? '') || 0,
  };
}

const volumeSchema = z.object({
  spec: z.object({
    storageClassName: z.string().default(''),
    accessModes: z.array(z.string()).default([]),
    csi: z.object({ driver: z.string(), volumeHandle: z.string() }).optional(),
    nfs: z.object({ server: z.string(), path: z.string() }).optional(),
    claimRef: z.object({ namespace: z.string().default(''), name: z.string().default('') }).optional(),
  }),
  status: z.object({ phase: z.string().default('Pending') }).default({ phase: 'Pending' }),
});

export function volumeFrom(object: KubeObject): Volume {
  const { spec, status } = volumeSchema.parse(object);
  const { name, annotations = {} } = object.metadata;
  return {
    name,
    phase: status.phase,
    className: spec.storageClassName,
    accessModes: spec.accessModes,
    csi: spec.csi,
    nfs: spec.nfs,
    claimRef: spec.claimRef,
    provisioned: annotations[PROVISIONED] !== undefined,
    boundByController: annotations[FOUND_FOR_IT] === 'yes',
  };
}

const classSchema = z.object({ provisioner: z.string(), volumeBindingMode: z.string().optional() });

export function volumeClassFrom(object: KubeObject): VolumeClass {
  const { provisioner, volumeBindingMode } = classSchema.parse(object);
  return {
    name: object.metadata.name,
    provisioner,
    waitsForPod: volumeBindingMode === 'WaitForFirstConsumer',
  };
}

const nodeSchema = z.object({
  spec: z.object({
    drivers: z
      .array(z.object({ name: z.string() }))
      .nullish()
      .transform((drivers) => drivers ?? []),
  }),
});

/** The CSI drivers that a node has, by its CSINode. Nodes of Fargate mount EFS without saying so: `*`. */
export function driversOfNode(object: KubeObject): readonly string[] {
  if (object.metadata.name.startsWith('fargate-')) return ['*'];
  return nodeSchema.parse(object).spec.drivers.map(({ name }) => name);
}
