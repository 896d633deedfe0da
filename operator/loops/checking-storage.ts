import { hasCode } from '../errors.ts';
import { steadyWords } from '../plan/start-trouble.ts';
import { claimsOfTemplate, judgeStorage, type UsedClaim } from '../plan/storage.ts';
import { isDynamic, isSeen } from '../plan/unbound-claim.ts';
import {
  type ClaimFacts,
  type DriverFacts,
  driversOfNode,
  type Seen,
  type Volume,
  type VolumeClaim,
  type VolumeClass,
  volumeClaimFrom,
  volumeClassFrom,
  volumeFrom,
} from '../plan/volume-facts.ts';
import type { Clock, KubeObject, Resource } from '../ports.ts';
import {
  CSI_DRIVERS,
  CSI_NODES,
  EVENTS,
  type KubeApi,
  STORAGE_CLASSES,
  VOLUME_CLAIMS,
  VOLUMES,
} from '../world.ts';
import type { PreflightCheck } from './preflight.ts';
import { SharedRead } from './shared-read.ts';
import { startEventFrom } from './start-events.ts';

/** Volumes and nodes of a cluster are many, and every BatchQueue asks for the same ones: how old they may be, in milliseconds. */
const VOLUMES_AGE_MS = 240_000;
/** While a claim waits for one of them, and somebody watches. */
const AWAITED_VOLUMES_AGE_MS = 10_000;
const NODES_AGE_MS = 30_000;
/** While a fault holds intake a handful of reads is cheap, in milliseconds. */
const HELD_RECHECK_MS = 15_000;
/** While a claim is just being bound, in milliseconds. */
const BINDING_RECHECK_MS = 2_000;

export interface StoragePorts {
  readonly kube: Pick<KubeApi, 'get' | 'list'>;
  readonly clock: Clock;
}

/** Whether the claims that the Jobs mount are there, bound, and fit for it. Claims are read, never watched. */
export function storageCheck({ kube, clock }: StoragePorts): PreflightCheck {
  const reader = new VolumeReader(kube, clock);
  return {
    name: 'storage',
    dependsOn: ({ template }) => claimsOfTemplate(template),
    run: async ({ queue, template }) => {
      const namespace = queue.metadata.namespace ?? 'default';
      const used = claimsOfTemplate(template);
      const check = judgeStorage(await Promise.all(used.map((claim) => reader.factsOf(claim, namespace))));
      if (!check.holdsIntake) return check;
      return { ...check, recheckAfterMs: check.status === 'False' ? HELD_RECHECK_MS : BINDING_RECHECK_MS };
    },
  };
}

/** Reads what is behind a claim, as far as the operator may: what it may not is `hidden`. */
class VolumeReader {
  readonly #kube: StoragePorts['kube'];
  readonly #clock: Clock;
  readonly #volumes: SharedRead<readonly Volume[]>;
  readonly #driversOnNodes: SharedRead<ReadonlySet<string>>;

  constructor(kube: StoragePorts['kube'], clock: Clock) {
    this.#kube = kube;
    this.#clock = clock;
    this.#volumes = new SharedRead(() => this.#listVolumes(), clock);
    this.#driversOnNodes = new SharedRead(() => this.#listDrivers(), clock);
  }

  async factsOf({ claimName, usedBy }: UsedClaim, namespace: string): Promise<ClaimFacts> {
    const object = await this.#kube.get(VOLUME_CLAIMS, namespace, claimName);
    const claim = object && volumeClaimFrom(object);
    const [volume, storageClass] = await Promise.all([
      claim?.volumeName ? this.#see(VOLUMES, claim.volumeName, volumeFrom) : undefined,
      claim?.className ? this.#see(STORAGE_CLASSES, claim.className, volumeClassFrom) : undefined,
    ]);
    return {
      claimName,
      usedBy,
      claim,
      volume,
      storageClass,
      driver: await this.#driverOf(volume, storageClass),
      volumes: await this.#volumesSeen(ageOfOthers(claim, volume, storageClass)),
      words: claim?.phase === 'Pending' ? await this.#wordsAbout(object, namespace) : undefined,
      nowMs: this.#clock.now(),
    };
  }

  async #see<T>(resource: Resource, name: string, read: (object: KubeObject) => T): Promise<Seen<T>> {
    const object = await orHidden(this.#kube.get(resource, undefined, name));
    if (object === 'hidden') return object;
    return object ? read(object) : 'absent';
  }

  async #driverOf(
    volume: Seen<Volume> | undefined,
    storageClass: Seen<VolumeClass> | undefined,
  ): Promise<DriverFacts | undefined> {
    const maker = isSeen(storageClass) && storageClass.provisioner.includes('.csi.');
    const name = isSeen(volume) ? volume.csi?.driver : maker ? storageClass.provisioner : undefined;
    if (name === undefined) return undefined;
    const [object, drivers] = await Promise.all([
      this.#see(CSI_DRIVERS, name, () => 'present' as const),
      orHidden(this.#driversOnNodes.get(NODES_AGE_MS)),
    ]);
    return { name, object, onNodes: drivers === 'hidden' ? drivers : drivers.has(name) || drivers.has('*') };
  }

  /** Undefined: they do not matter. */
  async #volumesSeen(maxAgeMs: number | undefined): Promise<readonly Volume[]> {
    if (maxAgeMs === undefined) return [];
    const volumes = await orHidden(this.#volumes.get(maxAgeMs));
    return volumes === 'hidden' ? [] : volumes;
  }

  async #listVolumes(): Promise<readonly Volume[]> {
    return (await this.#kube.list(VOLUMES, {})).items.map((object) => volumeFrom(object));
  }

  async #listDrivers(): Promise<ReadonlySet<string>> {
    return new Set((await this.#kube.list(CSI_NODES, {})).items.flatMap((node) => driversOfNode(node)));
  }

  /** The newest failure that is told of a claim, else the newest word. */
  async #wordsAbout(claim: KubeObject | undefined, namespace: string): Promise<string | undefined> {
    const fieldSelector = `regarding.uid=${claim?.metadata.uid}`;
    const seen = await orHidden(this.#kube.list(EVENTS, { namespace, fieldSelector }));
    const events = seen === 'hidden' ? [] : seen.items.flatMap((item) => startEventFrom(item) ?? []);
    const newest = events.toSorted((a, b) => b.lastSeenMs - a.lastSeenMs);
    const event = newest.find(({ reason }) => /Fail|Mismatch/.test(reason)) ?? newest[0];
    return event && steadyWords(event.note);
  }
}

/** Which other volumes there are matters for a claim that has none yet, or one that was made on demand. */
function ageOfOthers(
  claim: VolumeClaim | undefined,
  volume: Seen<Volume> | undefined,
  storageClass: Seen<VolumeClass> | undefined,
): number | undefined {
  if (claim?.phase === 'Pending') return claim.volumeName === '' ? AWAITED_VOLUMES_AGE_MS : undefined;
  return isSeen(volume) && volume.provisioned && isDynamic(storageClass) ? VOLUMES_AGE_MS : undefined;
}

/** What the operator may not see is hidden, which is no failure of the check. */
async function orHidden<T>(reading: Promise<T>): Promise<T | 'hidden'> {
  try {
    return await reading;
  } catch (error) {
    if (hasCode(error, 'Forbidden')) return 'hidden';
    throw error;
  }
}
