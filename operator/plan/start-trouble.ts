import type { Problem } from './problem.ts';

/**
 * Why a pod does not start, in the words of whoever refuses: kubelet, scheduler or Job controller.
 *
 * `template`: what is wrong with this pod is wrong with every pod of its template (image, Secret, claim, account, quota,
 * policy). `capacity`: it may start as soon as there is room for it.
 */
export interface StartTrouble extends Problem {
  readonly fault: 'template' | 'capacity';
}

/** A trouble, and how long it must have lasted before it is one: registries and volumes have hiccups. */
export interface Suspicion {
  readonly trouble: StartTrouble;
  readonly graceMs: number;
}

/** Registry hiccups, and objects that are created just after the BatchQueue. */
export const START_GRACE_MS = 30_000;
/** Mounts and sandboxes fail for a while when many pods start at once. */
const MOUNT_GRACE_MS = 60_000;
/** A volume that is being provisioned. */
const BIND_GRACE_MS = 120_000;

const AT_ONCE = 0;

/** What a container waits for, by the kubelet's word for it; undefined: nothing is wrong (`ContainerCreating`, `PodInitializing`). */
export function waitingTrouble(waiting: { reason: string; message: string }): Suspicion | undefined {
  const { message } = waiting;
  switch (waiting.reason) {
    case 'InvalidImageName':
      return template('InvalidImageName', message, AT_ONCE);
    case 'ErrImageNeverPull':
      return template('ImagePullFailing', message, AT_ONCE);
    case 'ErrImagePull':
    case 'ImagePullBackOff':
    case 'ImageInspectError':
    case 'RegistryUnavailable':
    case 'SignatureValidationFailed':
      return template('ImagePullFailing', message, START_GRACE_MS);
    case 'CreateContainerConfigError':
      return template(missingObject(message) ?? 'CreateContainerConfigError', message, START_GRACE_MS);
    case 'CreateContainerError':
    case 'RunContainerError':
    case 'PreCreateHookError':
    case 'PreStartHookError':
    case 'CrashLoopBackOff':
      return template('ContainerNotStarted', message, START_GRACE_MS);
    default:
      return undefined;
  }
}

/** A container that ended without its program ever having run. */
export function neverRanTrouble(message: string): Suspicion {
  return template('ContainerNotStarted', message, AT_ONCE);
}

/** An init container that ended with a failure: the container of the contract will not run. */
export function initTrouble(name: string, exitCode: number, message: string): Suspicion {
  const words = message === '' ? '' : `: ${message}`;
  return template(
    'InitContainerFailed',
    `init container ${name} ended with exit code ${exitCode}${words}`,
    AT_ONCE,
  );
}

/** Why the scheduler has found no node: mostly for want of room, but a claim that is missing is missing for every pod. */
export function schedulingTrouble(reason: string, message: string): Suspicion {
  if (reason === 'SchedulingGated') return capacity('SchedulingGated', message, START_GRACE_MS);
  if (/persistentvolumeclaim "[^"]*" not found/i.test(message))
    return template('VolumeClaimNotFound', message, START_GRACE_MS);
  if (/unbound immediate PersistentVolumeClaims/i.test(message))
    return template('VolumeClaimNotBound', message, BIND_GRACE_MS);
  return capacity('Unschedulable', message, START_GRACE_MS);
}

/** What events say of a pod that has a node but no sandbox, by their reason. */
export function mountTrouble(reason: string, note: string): Suspicion | undefined {
  switch (reason) {
    case 'FailedMount':
    case 'FailedAttachVolume':
    case 'FailedMapVolume': {
      const missing = missingObject(note);
      return missing
        ? template(missing, note, START_GRACE_MS)
        : template('VolumeNotMounted', note, MOUNT_GRACE_MS);
    }
    case 'FailedCreatePodSandBox':
    case 'NetworkNotReady':
      return capacity('SandboxNotCreated', note, MOUNT_GRACE_MS);
    default:
      return undefined;
  }
}

/** Why the API server refuses a pod or a Job: quota, account, or whatever admission has against it. */
export function refusedReason(words: string): string {
  if (/exceeded quota|insufficient quota/i.test(words)) return 'QuotaExceeded';
  if (/serviceaccount "[^"]*" not found/i.test(words)) return 'ServiceAccountNotFound';
  return 'AdmissionDenied';
}

/** The Job controller's word for a pod that it could not create. */
export function creationTrouble(note: string): Suspicion {
  return template(refusedReason(note), note, START_GRACE_MS);
}

/** Which object is missing, if that is what these words say. */
function missingObject(words: string): string | undefined {
  if (/\bsecret "[^"]*" not found|\bin Secret \S+$|references non-existent secret key/i.test(words))
    return 'SecretNotFound';
  if (/\bconfigmap "[^"]*" not found|\bin ConfigMap \S+$|references non-existent config key/i.test(words))
    return 'ConfigMapNotFound';
  return undefined;
}

function template(reason: string, message: string, graceMs: number): Suspicion {
  return { trouble: { fault: 'template', reason, message }, graceMs };
}

function capacity(reason: string, message: string, graceMs: number): Suspicion {
  return { trouble: { fault: 'capacity', reason, message }, graceMs };
}

/** Longest text of a trouble, in characters. */
const MAX_WORDS = 1_024;

/**
 * The same words for the same trouble: without the names that are new on every try, and without what counts. `pod` is
 * the name of the pod they are about.
 */
export function steadyWords(words: string, pod?: string): string {
  const steady = words
    .replace(/\s+/g, ' ')
    .replace(/^\(combined from similar events\): /, '')
    .replace(/^(?:Error creating: |create \S+ \S+: \w+: )/, '')
    .replace(/^[\w.]+ "[^"]*" is forbidden: /, '')
    .replace(/^(?:Back-off pulling image "[^"]*": )?(?:Err\w+: )?/, '')
    .replace(/\bback-off (?:\d+[hms])+ /i, 'back-off ')
    // The port that the node's side of a connection happens to have.
    .replace(/:\d+->/g, '->')
    .replace(/ \(pod: "[^"]*", container: ([^)]*)\)/, ' (container: $1)')
    .replace(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '…')
    .trim();
  const named = pod ? steady.replaceAll(pod, 'the pod') : steady;
  return named.length <= MAX_WORDS ? named : `${named.slice(0, MAX_WORDS - 1)}…`;
}
