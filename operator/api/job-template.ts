/**
 * The part of a JobTemplateSpec that this program reads. Everything else in a template is carried as it came: the full
 * schema lives in the CRD (`job-template.generated.json`), and the API server judges the Jobs made from it.
 */

import { z } from 'zod';

/*
 * The API server estimates the cost of each CEL rule from the bounds of what it walks and refuses a CRD without them. The
 * bounds are far above what a pod can use; environment variables and mounts are the longest lists people have.
 */
const MAX_CONTAINERS = 32;
const MAX_ENV = 512;
const MAX_ENV_NAME_LENGTH = 256;
const MAX_VOLUMES = 128;
const MAX_PATH_LENGTH = 1024;
const MAX_LABELS = 64;
/** Longest object name in Kubernetes, a DNS subdomain. */
const MAX_OBJECT_NAME_LENGTH = 253;

/** At most 64 labels or annotations, counted as the API server counts them. */
const stringMap = z
  .record(z.string(), z.string())
  .refine((map) => Object.keys(map).length <= MAX_LABELS, `must have at most ${MAX_LABELS} entries`)
  .meta({ maxProperties: MAX_LABELS });

const templateMetadataSchema = z.looseObject({
  labels: stringMap.optional(),
  annotations: stringMap.optional(),
});

const envVarSchema = z.looseObject({
  name: z.string().max(MAX_ENV_NAME_LENGTH),
  value: z.string().optional(),
});

const volumeMountSchema = z.looseObject({ name: z.string(), mountPath: z.string().max(MAX_PATH_LENGTH) });

const volumeSchema = z.looseObject({ name: z.string().max(MAX_OBJECT_NAME_LENGTH) });

const containerSchema = z.looseObject({
  name: z.string(),
  image: z.string().optional(),
  env: z.array(envVarSchema).max(MAX_ENV).optional(),
  volumeMounts: z.array(volumeMountSchema).max(MAX_VOLUMES).optional(),
});

const podSpecSchema = z.looseObject({
  containers: z.array(containerSchema).max(MAX_CONTAINERS),
  initContainers: z.array(containerSchema).max(MAX_CONTAINERS).optional(),
  volumes: z.array(volumeSchema).max(MAX_VOLUMES).optional(),
  imagePullSecrets: z.array(z.looseObject({ name: z.string().optional() })).optional(),
  serviceAccountName: z.string().max(MAX_OBJECT_NAME_LENGTH).optional(),
  restartPolicy: z.string().optional(),
});

/** Fields of a template that this program reads, checked for their types; unknown fields pass untouched. */
export const jobTemplateSchema = z.looseObject({
  metadata: templateMetadataSchema.optional(),
  spec: z.looseObject({
    activeDeadlineSeconds: z.int().min(1).max(2_147_483_647).optional(),
    template: z.looseObject({ metadata: templateMetadataSchema.optional(), spec: podSpecSchema }),
  }),
});

/** A `batch/v1` JobTemplateSpec as raw JSON, with types for what the operator looks at. */
export type JobTemplate = z.output<typeof jobTemplateSchema>;
/** The pod spec inside a JobTemplate, raw JSON. */
export type PodSpec = z.output<typeof podSpecSchema>;
/** One container of a PodSpec, raw JSON. */
export type Container = z.output<typeof containerSchema>;

/** True when the fields that this program reads have the right types; other fields are not looked at. */
export function isJobTemplate(value: unknown): value is JobTemplate {
  return jobTemplateSchema.safeParse(value).success;
}
