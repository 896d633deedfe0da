import { EFS_DRIVER } from './efs.ts';
import { CHECKING, type Check, faulty, passed } from './preflight.ts';
import type { ClaimFacts, Seen, Volume, VolumeClaim, VolumeClass } from './volume-facts.ts';

/** A claim that was just made may take so long to be bound, in milliseconds, before anything is said about it. */
const BINDING_MS = 30_000;

/** Why a claim has no volume, and what to do. No pod that uses it can be scheduled, so this holds intake. */
export function judgeUnbound(claim: VolumeClaim, facts: ClaimFacts): Check {
  const { storageClass, nowMs } = facts;
  const name = `Claim ${claim.name}`;
  if (isSeen(storageClass) && storageClass.waitsForPod && claim.volumeName === '') {
    const words = `${name} gets its volume from class ${storageClass.name} when its first pod is scheduled.`;
    return passed('WaitsForFirstPod', words);
  }
  const known = askedVolume(claim, facts) ?? leftVolume(claim, facts);
  if (known) return known;
  if (nowMs - claim.createdAtMs < BINDING_MS) return { ...CHECKING, message: `${name} is being bound.` };
  return withoutProvisioner(claim, facts) ?? notBound(claim, facts);
}

/** The claim asks for a volume by name. */
function askedVolume(
  { name, namespace, volumeName }: VolumeClaim,
  { volume }: ClaimFacts,
): Check | undefined {
  if (volumeName === '' || volume === undefined || volume === 'hidden') return undefined;
  if (volume === 'absent') {
    const words = `Claim ${name} asks for volume ${volumeName}, which does not exist. Create it, or make the claim again without volumeName.`;
    return faulty('VolumeNotFound', words);
  }
  if (volume.phase === 'Released') return released(volume);
  const { claimRef } = volume;
  if (!claimRef || (claimRef.namespace === namespace && claimRef.name === name)) return undefined;
  const words = `Claim ${name} asks for volume ${volumeName}, which belongs to claim ${claimRef.namespace}/${claimRef.name}. Make a volume of its own for it.`;
  return faulty('VolumeTaken', words);
}

/** A volume that a claim of this name has left behind would do, if it did not still point at that one. */
function leftVolume({ name, namespace, className, volumeName }: VolumeClaim, { volumes }: ClaimFacts) {
  const left = volumes.filter(
    (volume) =>
      volumeName === '' &&
      volume.phase === 'Released' &&
      volume.className === className &&
      volume.claimRef?.namespace === namespace,
  );
  const ours = left.find(({ claimRef }) => claimRef?.name === name) ?? left[0];
  return ours && released(ours);
}

function released({ name, claimRef }: Volume): Check {
  const words =
    `Volume ${name} is Released: it still points at the deleted claim ${claimRef?.namespace}/${claimRef?.name}, so that no other can have it. ` +
    `To use it again, with the files in it: kubectl patch pv ${name} --type=json -p '[{"op":"remove","path":"/spec/claimRef"}]'`;
  return faulty('VolumeReleased', words);
}

/** Nobody is there who could make a volume. */
function withoutProvisioner({ name, className }: VolumeClaim, facts: ClaimFacts): Check | undefined {
  const { storageClass, driver } = facts;
  if (storageClass === 'absent') {
    const words =
      `Claim ${name} has no volume: none with storageClassName ${className} fits, and there is no StorageClass of that name to make one. ` +
      `Create a PersistentVolume with storageClassName ${className}, access mode ReadWriteMany and enough capacity, or the class.`;
    return faulty('StorageClassNotFound', words);
  }
  if (driver?.object !== 'absent' || driver.onNodes === true) return undefined;
  const words = `Claim ${name} waits for CSI driver ${driver.name} to make its volume, and the cluster does not have that driver. ${installDriver(driver.name)}`;
  return faulty('CSIDriverNotFound', words);
}

function notBound({ name, namespace, className }: VolumeClaim, { words, storageClass }: ClaimFacts): Check {
  const said = words === undefined ? '' : ` Kubernetes says: ${words.replace(/\.$/, '')}.`;
  const remedy = isDynamic(storageClass)
    ? `StorageClass ${className} should make one: see kubectl describe pvc ${name} -n ${namespace}.`
    : `Create a PersistentVolume with storageClassName "${className}", access mode ReadWriteMany and enough capacity.`;
  return faulty('VolumeClaimNotBound', `Claim ${name} has no volume.${said} ${remedy}`);
}

/** How to get a CSI driver. */
export function installDriver(name: string): string {
  return name === EFS_DRIVER ? 'Install the EKS add-on aws-efs-csi-driver.' : 'Install it.';
}

/** Whether volumes of this class are made on demand. */
export function isDynamic(storageClass: Seen<VolumeClass> | undefined): storageClass is VolumeClass {
  return isSeen(storageClass) && storageClass.provisioner !== 'kubernetes.io/no-provisioner';
}

/** The object itself was seen. */
export function isSeen<T extends object>(seen: Seen<T> | undefined): seen is T {
  return typeof seen === 'object';
}
