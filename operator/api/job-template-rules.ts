/**
 * What a Job template may not say, because the operator owns it. Each message names the field or the rule that owns it.
 */

import { fieldOf, isJsonObject } from './json.ts';
import { API_GROUP, MESSAGES_DIRECTORY, VOLUME_MESSAGES, VOLUME_STORAGE } from './names.ts';
import { mustBeIfSet, mustNotBeSet, mustNotStartWith, type Rule } from './rule.ts';

const JOB = 'spec.jobTemplate.spec';
const POD_TEMPLATE = `${JOB}.template`;
const POD = `${POD_TEMPLATE}.spec`;

/** Environment variables of the worker contract all start like this. */
const RESERVED_ENV_PREFIX = 'BATCHQUEUE_';

const RETRIES = 'BatchQueue counts attempts itself, see `retry`';

/** Fields of the Job's spec that must be left out, each with who owns it. */
const OWNED_JOB_FIELDS: Readonly<Record<string, string>> = {
  backoffLimit: RETRIES,
  backoffLimitPerIndex: RETRIES,
  maxFailedIndexes: RETRIES,
  completions: 'BatchQueue sets it for Indexed Jobs, one completion for each message',
  successPolicy: 'a Job succeeds when its worker exits with code 0',
  podFailurePolicy: 'BatchQueue sets the one that reads the exit codes of the worker',
  podReplacementPolicy: 'BatchQueue replaces pods itself, by a new Job',
  selector: 'the Job controller selects its own pods',
  manualSelector: 'the Job controller selects its own pods',
  managedBy: 'the Job controller of Kubernetes runs the Jobs',
  suspend: 'see `suspend` of the BatchQueue',
  ttlSecondsAfterFinished: 'see `successfulJobsHistoryLimit` and `failedJobsHistoryLimit`',
};

const JOB_RULES: readonly Rule[] = [
  mustNotBeSet(
    'spec.jobTemplate.metadata',
    'name',
    '`jobTemplate.metadata.name` must not be set: BatchQueue names each Job after its message',
  ),
  ...Object.entries(OWNED_JOB_FIELDS).map(([field, owner]) =>
    mustNotBeSet(JOB, field, `\`jobTemplate.spec.${field}\` must not be set: ${owner}`),
  ),
  {
    at: JOB,
    field: 'parallelism',
    cel: "!has(self.parallelism) || self.parallelism == 1 || (has(self.completionMode) && self.completionMode == 'Indexed')",
    message:
      '`jobTemplate.spec.parallelism` must be 1 or unset, unless `completionMode` is Indexed: see `maxConcurrentJobs`',
    holds: (job) => {
      const parallelism = fieldOf(job, 'parallelism');
      return parallelism === undefined || parallelism === 1 || fieldOf(job, 'completionMode') === 'Indexed';
    },
  },
  {
    at: JOB,
    field: 'parallelism',
    cel: '!has(self.parallelism) || self.parallelism >= 1',
    message: '`jobTemplate.spec.parallelism` must be at least 1: see `suspend` of the BatchQueue',
    holds: (job) => {
      const parallelism = fieldOf(job, 'parallelism');
      return typeof parallelism !== 'number' || parallelism >= 1;
    },
  },
  {
    at: JOB,
    field: 'completionMode',
    cel: "!has(self.completionMode) || self.completionMode in ['NonIndexed', 'Indexed']",
    message: '`jobTemplate.spec.completionMode` must be NonIndexed, Indexed or unset',
    holds: (job) =>
      [undefined, 'NonIndexed', 'Indexed'].some((mode) => mode === fieldOf(job, 'completionMode')),
  },
];

const POD_RULES: readonly Rule[] = [
  mustBeIfSet(
    POD,
    'restartPolicy',
    'Never',
    '`restartPolicy` of the pod must be Never or unset: BatchQueue retries with a new Job, see `retry`',
  ),
  mustNotBeSet(
    POD,
    'serviceAccount',
    '`serviceAccount` must not be set: see `serviceAccountName` of the BatchQueue',
  ),
  {
    at: 'spec',
    field: 'jobTemplate.spec.template.spec.serviceAccountName',
    cel:
      '!has(self.jobTemplate.spec.template.spec.serviceAccountName) || (has(self.serviceAccountName) && ' +
      'self.jobTemplate.spec.template.spec.serviceAccountName == self.serviceAccountName)',
    message:
      '`serviceAccountName` of the pod must be unset or equal to `serviceAccountName` of the BatchQueue',
    holds: (spec) => {
      const inPod = ['jobTemplate', 'spec', 'template', 'spec', 'serviceAccountName'].reduce(fieldOf, spec);
      return typeof inPod !== 'string' || inPod === fieldOf(spec, 'serviceAccountName');
    },
  },
  {
    at: POD,
    field: 'containers',
    cel: 'size(self.containers) > 0',
    message: '`containers` must hold at least one container with an image',
    reason: 'FieldValueRequired',
    holds: (pod) => {
      const containers = fieldOf(pod, 'containers');
      return !Array.isArray(containers) || containers.length > 0;
    },
  },
  {
    at: `${POD}.volumes[]`,
    field: 'name',
    cel: `!(self.name in ['${VOLUME_MESSAGES}', '${VOLUME_STORAGE}'])`,
    message: `volume names \`${VOLUME_MESSAGES}\` and \`${VOLUME_STORAGE}\` are reserved: BatchQueue adds these volumes`,
    holds: (volume) => ![VOLUME_MESSAGES, VOLUME_STORAGE].some((name) => name === fieldOf(volume, 'name')),
  },
];

const CONTAINER_RULES: readonly Rule[] = [
  mustBeIfSet(
    `${POD}.containers[]`,
    'restartPolicy',
    'Never',
    '`restartPolicy` of a container must be Never or unset: BatchQueue retries with a new Job, see `retry`',
  ),
  mustNotBeSet(
    `${POD}.containers[]`,
    'restartPolicyRules',
    '`restartPolicyRules` must not be set: BatchQueue retries with a new Job, see `retry`',
  ),
  ...[`${POD}.containers[]`, `${POD}.initContainers[]`].flatMap(rulesOfEveryContainer),
];

function rulesOfEveryContainer(at: string): Rule[] {
  return [
    {
      at,
      field: 'image',
      cel: "has(self.image) && self.image != ''",
      message: 'every container must name its `image`',
      reason: 'FieldValueRequired',
      holds: (container) => {
        const image = isJsonObject(container) ? (container['image'] ?? '') : undefined;
        return image !== '';
      },
    },
    mustNotStartWith(
      `${at}.env[].name`,
      RESERVED_ENV_PREFIX,
      `environment variables that start with \`${RESERVED_ENV_PREFIX}\` are reserved: BatchQueue sets them`,
    ),
    {
      at: `${at}.volumeMounts[].mountPath`,
      cel: `self != '${MESSAGES_DIRECTORY}' && !self.startsWith('${MESSAGES_DIRECTORY}/')`,
      message: `nothing may be mounted under \`${MESSAGES_DIRECTORY}\`: BatchQueue puts the messages file there`,
      holds: (path) => typeof path !== 'string' || !`${path}/`.startsWith(`${MESSAGES_DIRECTORY}/`),
    },
  ];
}

const METADATA_RULES: readonly Rule[] = ['spec.jobTemplate.metadata', `${POD_TEMPLATE}.metadata`].flatMap(
  (at) =>
    ['labels', 'annotations'].map((kind) => ({
      at: `${at}.${kind}`,
      cel: `self.all(key, !key.startsWith('${API_GROUP}/'))`,
      message: `${kind} under \`${API_GROUP}/\` are reserved: BatchQueue sets them`,
      holds: (map: unknown) =>
        !isJsonObject(map) || Object.keys(map).every((key) => !key.startsWith(`${API_GROUP}/`)),
    })),
);

/** Rules about `spec.jobTemplate`, in the order in which problems are reported. */
export const TEMPLATE_RULES: readonly Rule[] = [
  ...JOB_RULES,
  ...POD_RULES,
  ...CONTAINER_RULES,
  ...METADATA_RULES,
];
