import type { BatchQueueSpec, Container, PodSpec } from '../api/batch-queue.ts';
import {
  ANNOTATION_MESSAGES,
  MESSAGES_DIRECTORY,
  MESSAGES_FILE,
  VOLUME_MESSAGES,
  VOLUME_STORAGE,
} from '../api/names.ts';
import type { Payload } from './payload.ts';

/** What every container of a worker pod finds. */
export interface Contract {
  readonly payload: Payload;
  readonly storage: BatchQueueSpec['storage'];
  /** Values the operator made itself or has checked; undefined ones are left out. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * Adds the worker contract to a pod: the messages file, the shared storage and the environment, in every container
 * including init containers. A variable that the user set by the same name stays the user's.
 */
export function addContract(pod: PodSpec, contract: Contract): PodSpec {
  const { initContainers } = pod;
  return {
    ...pod,
    volumes: [...(pod.volumes ?? []), ...volumes(contract)],
    containers: pod.containers.map((container) => withContract(container, contract)),
    ...(initContainers && {
      initContainers: initContainers.map((container) => withContract(container, contract)),
    }),
  };
}

function volumes({ storage, payload }: Contract): { name: string; [source: string]: unknown }[] {
  const messages = { name: VOLUME_MESSAGES, projected: { sources: sources(payload) } };
  if (!storage) return [messages];
  return [messages, { name: VOLUME_STORAGE, persistentVolumeClaim: { claimName: storage.claimName } }];
}

/** One directory of files, whatever carries them. */
function sources({ inline, secrets }: Payload): object[] {
  const fieldPath = `metadata.annotations['${ANNOTATION_MESSAGES}']`;
  const annotation = { downwardAPI: { items: [{ path: MESSAGES_FILE, fieldRef: { fieldPath } }] } };
  return [
    ...(inline === undefined ? [] : [annotation]),
    ...secrets.map(({ secretName, file }) => ({
      secret: { name: secretName, items: [{ key: file, path: file }] },
    })),
  ];
}

function withContract(container: Container, contract: Contract): Container {
  return {
    ...container,
    env: [...(container.env ?? []), ...environment(container, contract)],
    volumeMounts: [...(container.volumeMounts ?? []), ...mounts(contract)],
  };
}

function mounts({ storage }: Contract): { name: string; mountPath: string }[] {
  const messages = { name: VOLUME_MESSAGES, mountPath: MESSAGES_DIRECTORY, readOnly: true };
  if (!storage) return [messages];
  const { mountPath, subPath } = storage;
  return [messages, { name: VOLUME_STORAGE, mountPath, ...(subPath !== undefined && { subPath }) }];
}

function environment(container: Container, contract: Contract): { name: string; value: string }[] {
  const taken = new Set((container.env ?? []).map(({ name }) => name));
  const values = {
    BATCHQUEUE_MESSAGES_FILE: `${MESSAGES_DIRECTORY}/${MESSAGES_FILE}`,
    BATCHQUEUE_STORAGE_PATH: contract.storage?.mountPath,
    ...contract.environment,
  };
  return Object.entries(values).flatMap(([name, value]) =>
    value === undefined || taken.has(name) ? [] : [{ name, value }],
  );
}
