/**
 * The part of a JobTemplateSpec that this program reads. Everything else in a template is carried as it came: the full
 * schema lives in the CRD (`job-template.generated.json`), and the API server judges the Jobs made from it.
 */

import { z } from 'zod';

const stringMap = z.record(z.string(), z.string());

const templateMetadataSchema = z.looseObject({
  labels: stringMap.optional(),
  annotations: stringMap.optional(),
});

const envVarSchema = z.looseObject({ name: z.string(), value: z.string().optional() });

const volumeMountSchema = z.looseObject({ name: z.string(), mountPath: z.string() });

const volumeSchema = z.looseObject({ name: z.string() });

const containerSchema = z.looseObject({
  name: z.string(),
  image: z.string().optional(),
  env: z.array(envVarSchema).optional(),
  volumeMounts: z.array(volumeMountSchema).optional(),
});

const podSpecSchema = z.looseObject({
  containers: z.array(containerSchema),
  initContainers: z.array(containerSchema).optional(),
  volumes: z.array(volumeSchema).optional(),
  imagePullSecrets: z.array(z.looseObject({ name: z.string().optional() })).optional(),
  serviceAccountName: z.string().optional(),
  restartPolicy: z.string().optional(),
});

/** Fields of a template that this program reads, checked for their types; unknown fields pass untouched. */
export const jobTemplateSchema = z.looseObject({
  metadata: templateMetadataSchema.optional(),
  spec: z.looseObject({
    activeDeadlineSeconds: z.int().optional(),
    template: z.looseObject({ metadata: templateMetadataSchema.optional(), spec: podSpecSchema }),
  }),
});

/** A `batch/v1` JobTemplateSpec as raw JSON, with types for what the operator looks at. */
export type JobTemplate = z.output<typeof jobTemplateSchema>;
/** The pod spec inside a JobTemplate, raw JSON. */
export type PodSpec = z.output<typeof podSpecSchema>;
/** One container of a PodSpec, raw JSON. */
export type Container = z.output<typeof containerSchema>;
