import { z } from 'zod';
import type { BatchQueue } from '../api/batch-queue.ts';
import { ANNOTATION_MESSAGES, BODY_FILE, LABEL_QUEUE, MESSAGES_FILE, VOLUME_MESSAGES } from '../api/names.ts';
import type { KubeObject } from '../ports.ts';
import type { Message } from './message.ts';
import {
  buildBodilessFile,
  buildMessagesFile,
  MAX_BATCH_BYTES,
  MAX_INLINE_BYTES,
  MAX_SECRET_BYTES,
} from './messages-file.ts';
import { ownerReference } from './owner.ts';

/**
 * How messages travel to a worker: a small messages file in an annotation of the pod template, a larger one in an
 * immutable Secret; the raw body of one message that is larger still in a Secret of its own. Secrets are made *before*
 * the Job, so that a crash in between loses nothing; until the Job owns them the BatchQueue does.
 */
export interface Payload {
  /** The messages file for the annotation; undefined when it stands in a Secret. */
  readonly inline: string | undefined;
  /** Secrets that the pod mounts, each with the file that it brings. */
  readonly secrets: readonly SecretFile[];
}

export interface SecretFile {
  readonly secretName: string;
  readonly file: string;
}

/** What must be created before the Job. */
export interface PlannedPayload {
  readonly payload: Payload;
  readonly secrets: readonly KubeObject[];
}

/** Undefined when the messages do not fit even so; a batch is cut before that, so it is one message then. */
export function planPayload(
  queue: BatchQueue,
  messages: readonly Message[],
  attempt: number,
  secretName: string,
): PlannedPayload | undefined {
  const whole = buildMessagesFile(messages, attempt);
  if (Buffer.byteLength(whole) <= MAX_BATCH_BYTES) return planFile(queue, whole, secretName);
  const [message, ...others] = messages;
  if (!message || others.length > 0) return undefined;
  const body = Buffer.from(message.body);
  const file = buildBodilessFile(message, attempt);
  if (body.length > MAX_SECRET_BYTES || Buffer.byteLength(file) > MAX_BATCH_BYTES) return undefined;
  const bodySecret = `${secretName}-${BODY_FILE}`;
  const planned = planFile(queue, file, secretName);
  return {
    payload: {
      inline: planned.payload.inline,
      secrets: [...planned.payload.secrets, { secretName: bodySecret, file: BODY_FILE }],
    },
    secrets: [...planned.secrets, buildSecret(queue, bodySecret, { [BODY_FILE]: body })],
  };
}

function planFile(queue: BatchQueue, file: string, secretName: string): PlannedPayload {
  const bytes = Buffer.from(file);
  if (bytes.length <= MAX_INLINE_BYTES) return { payload: { inline: file, secrets: [] }, secrets: [] };
  return {
    payload: { inline: undefined, secrets: [{ secretName, file: MESSAGES_FILE }] },
    secrets: [buildSecret(queue, secretName, { [MESSAGES_FILE]: bytes })],
  };
}

function buildSecret(queue: BatchQueue, name: string, files: Readonly<Record<string, Buffer>>): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name,
      namespace: queue.metadata.namespace ?? 'default',
      labels: { [LABEL_QUEUE]: queue.metadata.name },
      ownerReferences: [ownerReference(queue)],
    },
    type: 'Opaque',
    immutable: true,
    data: Object.fromEntries(Object.entries(files).map(([file, bytes]) => [file, bytes.toString('base64')])),
  };
}

const podTemplateSchema = z.object({
  template: z.object({
    metadata: z
      .object({ annotations: z.record(z.string(), z.string()).default({}) })
      .default({ annotations: {} }),
    spec: z.object({
      volumes: z
        .array(
          z.object({
            name: z.string(),
            projected: z
              .object({
                sources: z.array(
                  z.object({
                    secret: z
                      .object({
                        name: z.string(),
                        items: z.array(z.object({ path: z.string() })).default([]),
                      })
                      .optional(),
                  }),
                ),
              })
              .optional(),
          }),
        )
        .default([]),
    }),
  }),
});

/** How the messages of an existing Job travel, read from the Job; undefined when they cannot be told any more. */
export function payloadOf(job: KubeObject): Payload | undefined {
  const parsed = podTemplateSchema.safeParse(job['spec']);
  if (!parsed.success) return undefined;
  const { metadata, spec } = parsed.data.template;
  const inline = metadata.annotations[ANNOTATION_MESSAGES];
  const secrets = spec.volumes
    .filter(({ name }) => name === VOLUME_MESSAGES)
    .flatMap(({ projected }) => projected?.sources ?? [])
    .flatMap(({ secret }) =>
      secret ? [{ secretName: secret.name, file: secret.items[0]?.path ?? '' }] : [],
    );
  const hasMessages = inline !== undefined || secrets.some(({ file }) => file === MESSAGES_FILE);
  return hasMessages ? { inline, secrets } : undefined;
}
