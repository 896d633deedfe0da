import { z } from 'zod';
import { EFS_DRIVER, fileSystemOf, HANDLE_GRAMMAR, handleProblem } from './efs.ts';
import { type Check, faulty, passed, warned } from './preflight.ts';
import type { Problem } from './problem.ts';
import type { RevisionTemplate } from './revision-facts.ts';
import { installDriver, isDynamic, isSeen, judgeUnbound } from './unbound-claim.ts';
import type { ClaimFacts, Volume, VolumeClaim } from './volume-facts.ts';

/**
 * Can the pods of a Job mount what they name? Only what keeps every pod from being scheduled holds intake: a claim that is
 * missing, lost, going, or without a volume. Everything else is a warning: should it really keep pods from starting, they
 * say so themselves (see `start-trouble.ts`), and no work that would succeed is held up by a guess.
 */
export function judgeStorage(claims: readonly ClaimFacts[]): Check {
  if (claims.length === 0) return passed('NotUsed', 'The Jobs use no PersistentVolumeClaim.');
  const checks = claims.map((facts) => judgeClaim(facts));
  const worst =
    checks.find(({ holdsIntake, status }) => holdsIntake && status === 'False') ??
    checks.find(({ holdsIntake }) => holdsIntake) ??
    checks.find(({ status }) => status !== 'True') ??
    checks[0];
  const equal = checks.filter(({ status }) => status === worst?.status);
  const message = [...new Set(equal.map((check) => check.message))].join(' ');
  return worst ? { ...worst, message } : passed('NotUsed', '');
}

const claimVolumeSchema = z.object({ persistentVolumeClaim: z.object({ claimName: z.string() }) });

/** A claim that pods of a template use, and which field of the BatchQueue names it. */
export interface UsedClaim {
  readonly claimName: string;
  readonly usedBy: string;
}

/** Every claim that a template names, `storage` first; each once. */
export function claimsOfTemplate({ storage, jobTemplate }: RevisionTemplate): readonly UsedClaim[] {
  const named = (jobTemplate.spec.template.spec.volumes ?? []).flatMap((volume) => {
    const source = claimVolumeSchema.safeParse(volume);
    return source.success ? source.data.persistentVolumeClaim.claimName : [];
  });
  const used = [
    ...(storage ? [{ claimName: storage.claimName, usedBy: 'spec.storage.claimName' }] : []),
    ...named.map((claimName) => ({ claimName, usedBy: 'a volume of spec.jobTemplate' })),
  ];
  return used.filter(
    ({ claimName }, index) => used.findIndex((other) => other.claimName === claimName) === index,
  );
}

function judgeClaim(facts: ClaimFacts): Check {
  const { claim, claimName, usedBy, volume } = facts;
  if (!claim) {
    const words = `There is no PersistentVolumeClaim ${claimName} in this namespace. Create it, or correct ${usedBy}.`;
    return faulty('VolumeClaimNotFound', words);
  }
  if (claim.deleting) {
    const words = `Claim ${claimName} is being deleted: it waits for the pods that use it, and takes no new ones. Make it again when it is gone.`;
    return faulty('VolumeClaimTerminating', words);
  }
  if (claim.phase === 'Lost' || (claim.phase === 'Bound' && volume === 'absent')) {
    const words = `Claim ${claimName} has lost its volume ${claim.volumeName}: that PersistentVolume was deleted. Make the volume again, then the claim (kubectl delete pvc ${claimName} -n ${claim.namespace}).`;
    return faulty('VolumeClaimLost', words);
  }
  return claim.phase === 'Bound' ? judgeBound(claim, facts) : judgeUnbound(claim, facts);
}

function judgeBound(claim: VolumeClaim, facts: ClaimFacts): Check {
  if (claim.isBlock) {
    const words = `Claim ${claim.name} is a block device (volumeMode: Block), which cannot be mounted at a path. Make it with volumeMode: Filesystem.`;
    return faulty('VolumeModeBlock', words);
  }
  const volume = isSeen(facts.volume) ? facts.volume : undefined;
  const warnings = [
    notShared(claim, volume),
    volume?.csi && badHandle(volume.name, volume.csi),
    noDriver(facts),
    volume?.nfs && efsThroughNfs(volume.name, volume.nfs),
    volume && race(claim, volume, facts),
  ].filter((warning) => warning !== undefined);
  const [first] = warnings;
  if (first) return warned(first.reason, warnings.map(({ message }) => message).join(' '));
  const bound = `Claim ${claim.name} is bound to volume ${claim.volumeName}`;
  if (facts.volume === 'hidden') {
    const words = `${bound}, which was not looked at: the operator may not get persistentvolumes.`;
    return passed('VolumeNotInspected', words);
  }
  return passed('Bound', `${bound}.`);
}

function notShared(claim: VolumeClaim, volume: Volume | undefined): Problem | undefined {
  const modes = volume?.accessModes ?? claim.accessModes;
  if (modes.includes('ReadWriteMany')) return undefined;
  const message = `Claim ${claim.name} is ${modes.join(', ')}, not ReadWriteMany: pods on different nodes cannot write to it at once. Use a volume with ReadWriteMany, such as EFS.`;
  return { reason: 'NotReadWriteMany', message };
}

function badHandle(name: string, { driver, volumeHandle }: NonNullable<Volume['csi']>): Problem | undefined {
  const problem = driver === EFS_DRIVER ? handleProblem(volumeHandle) : undefined;
  if (problem === undefined) return undefined;
  const message = `Volume ${name} has the volumeHandle "${volumeHandle}": ${problem}. Make the volume again with ${HANDLE_GRAMMAR}.`;
  return { reason: 'VolumeHandleInvalid', message };
}

function noDriver({ driver, volume }: ClaimFacts): Problem | undefined {
  if (!driver || driver.onNodes !== false || !isSeen(volume) || !volume.csi) return undefined;
  if (driver.object === 'absent') {
    const message = `Volume ${volume.name} needs CSI driver ${driver.name}, which the cluster does not have. ${installDriver(driver.name)}`;
    return { reason: 'CSIDriverNotFound', message };
  }
  const message = `Volume ${volume.name} needs CSI driver ${driver.name}, and no node has it. See whether the DaemonSet of the driver runs: kubectl get csinodes, kubectl get daemonsets -n kube-system.`;
  return { reason: 'CSIDriverNotOnNodes', message };
}

function efsThroughNfs(name: string, { server, path }: NonNullable<Volume['nfs']>): Problem | undefined {
  const fileSystem = fileSystemOf(server);
  if (fileSystem === undefined) return undefined;
  const handle = path === '/' ? fileSystem : `${fileSystem}:${path}`;
  const message =
    `Volume ${name} mounts EFS with the in-tree nfs driver: without TLS, IAM and access points, and a wrong server name leaves pods hanging. ` +
    `Make it again with csi: {driver: ${EFS_DRIVER}, volumeHandle: "${handle}"}.`;
  return { reason: 'EfsThroughNfs', message };
}

/** A volume made by hand and a class that makes volumes on demand: which of them a claim gets is a matter of chance. */
function race(
  claim: VolumeClaim,
  volume: Volume,
  { storageClass, volumes }: ClaimFacts,
): Problem | undefined {
  if (!isDynamic(storageClass)) return undefined;
  const { name: className } = storageClass;
  const remedy = `make the claim with volumeName, or both with storageClassName ""`;
  if (!volume.provisioned) {
    if (!claim.boundByController || !volume.boundByController) return undefined;
    const message = `Claim ${claim.name} got volume ${volume.name} by chance: class ${className} also makes volumes on demand, and a claim that does not name its volume may get a new, empty one next time. To be sure, ${remedy}.`;
    return { reason: 'StaticVolumeRace', message };
  }
  const unused = volumes.find((other) => isForAnybody(other) && other.className === className);
  if (!unused) return undefined;
  const message = `Claim ${claim.name} has a new volume, which class ${className} made on demand (${volume.name}), while volume ${unused.name} of that class, made by hand, is not used. If the files are meant to be there, ${remedy}.`;
  return { reason: 'StaticVolumeUnused', message };
}

function isForAnybody({ phase, claimRef, provisioned }: Volume): boolean {
  return phase === 'Available' && claimRef === undefined && !provisioned;
}
