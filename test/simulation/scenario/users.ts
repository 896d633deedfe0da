import { jobName } from '../../../operator/plan/job-name.ts';
import { BATCH_QUEUES, JOBS } from '../../../operator/world.ts';
import type { Tenant } from '../truth/tenant.ts';
import { drawFate } from '../worker/fate.ts';
import type { TenantMix } from './mix.ts';
import { queueOf, type Stage, type Steps, someTenant } from './stage.ts';

/** Messages sent at once: enough for a batch that does not fit, few enough to be worked off in no time. */
export const MOST_SENT = 15;

/** What users do, in fair weather too. */
export const USERS: Steps = [
  [8, send],
  [1, edit],
  [1, suspendOrResume],
  [1, scale],
  [1, deleteJob],
  [0.4, squat],
];

/** A few messages come into one of the queues. */
export function send(stage: Stage): void {
  sendSome(stage, MOST_SENT);
}

/** The same, up to that many where they run in batches. */
export function sendSome(stage: Stage, most: number): void {
  sendTo(someTenant(stage), stage, most);
}

/** The same into this queue. */
export function sendTo([tenant, mix]: readonly [Tenant, TenantMix], stage: Stage, most: number): void {
  const { world, random } = stage;
  const { batchSize } = queueOf(tenant);
  const count = random.between(1, batchSize > 1 ? Math.min(most, batchSize * 2) : 4);
  for (let sent = 0; sent < count; sent += 1) {
    const length = random.chance(mix.largeBodyChance)
      ? (random.pick([40_000, 40_000, 800_000]) ?? 0)
      : mix.bodyLength;
    const group = mix.fifo ? `group-${random.between(1, mix.groups)}` : undefined;
    world.send(tenant, 'x'.repeat(length), drawFate(random, mix.troubleChance), group);
  }
}

function edit(stage: Stage): void {
  const [tenant] = someTenant(stage);
  if (!stage.world.batchQueue(tenant)) return;
  stage.world.apply(tenant, tenant.spec, `worker:${stage.random.between(1, 3)}`);
}

function suspendOrResume(stage: Stage): void {
  const [tenant] = someTenant(stage);
  if (!stage.world.batchQueue(tenant)) return;
  stage.world.apply(tenant, { ...tenant.spec, suspend: tenant.spec['suspend'] !== true });
}

function scale(stage: Stage): void {
  const [tenant] = someTenant(stage);
  if (!stage.world.batchQueue(tenant)) return;
  stage.world.apply(tenant, { ...tenant.spec, maxConcurrentJobs: stage.random.between(0, 6) });
}

function deleteJob({ world, random }: Stage): void {
  const job = random.pick(world.jobs());
  if (!job || job.metadata.deletionTimestamp !== undefined) return;
  const { namespace = '', name } = job.metadata;
  const propagationPolicy = random.pick(['Background', 'Background', 'Foreground', 'Orphan'] as const);
  world.disturb(`somebody deletes Job ${name} (${propagationPolicy})`);
  world.api.delete(JOBS, namespace, name, { ...(propagationPolicy && { propagationPolicy }) });
}

/** Somebody has made a Job under the very name that a message's Job is to get. */
function squat(stage: Stage): void {
  const { world, random } = stage;
  const [tenant, mix] = someTenant(stage);
  const { name, namespace, model } = tenant;
  if (!world.api.accepts(namespace)) return;
  // One that is sent this very moment, or one that waits.
  const fresh = world.send(
    tenant,
    'x',
    undefined,
    mix.fifo ? `group-${random.between(1, mix.groups)}` : undefined,
  );
  const waiting = [...model.messages().keys()].filter((id) => world.book.runsOf(id).length === 0);
  const messageId = random.chance(0.5) ? fresh : (random.pick(waiting) ?? fresh);
  const jobOfMessage = { batchQueueName: name, queueArn: model.ref.arn, messageId, lock: 1, run: 1 };
  const squatter = jobName(jobOfMessage);
  if (world.api.get(JOBS, namespace, squatter)) return;
  world.disturb(`somebody makes a Job called ${squatter}`);
  const spec = { template: { spec: { containers: [{ name: 'mine' }] } } };
  try {
    world.api.create(JOBS, namespace, { metadata: { name: squatter, labels: { mine: 'yes' } }, spec });
  } catch {
    // A quota is there for everybody.
  }
}

/** Somebody deletes a BatchQueue, or makes one that is gone again. */
export function deleteBatchQueue(stage: Stage): void {
  const { world, random, sightings } = stage;
  const [tenant] = someTenant(stage);
  const object = world.batchQueue(tenant);
  const { name, namespace } = tenant;
  if (!object) {
    if (!world.api.accepts(namespace)) return;
    world.apply(tenant, tenant.spec);
    sightings.see('BatchQueue made again');
    return;
  }
  if (object.metadata.deletionTimestamp !== undefined) return;
  const propagationPolicy = random.pick(['Background', 'Foreground', 'Orphan'] as const) ?? 'Background';
  world.disturb(`somebody deletes BatchQueue ${name} (${propagationPolicy})`);
  world.api.delete(BATCH_QUEUES, namespace, name, { propagationPolicy });
  if (propagationPolicy === 'Orphan') sightings.see('BatchQueue orphaned');
  else if (world.jobs().some(({ metadata }) => metadata.finalizers?.length))
    sightings.see('BatchQueue deleted with Jobs');
}

/** A namespace goes, with everything in it. */
export function deleteNamespace(stage: Stage): void {
  const [{ namespace }] = someTenant(stage);
  stage.world.disturb(`somebody deletes namespace ${namespace}`);
  stage.world.garbage.deleteNamespace(namespace);
  stage.sightings.see('namespace deleted');
}
