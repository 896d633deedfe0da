import type { KubeObject } from '../../operator/ports.ts';
import type { SqsProxy } from '../faults/sqs-proxy.ts';
import { entriesOf } from '../faults/sqs-requests.ts';
import { SECRETS } from '../support/kubernetes.ts';
import type { QueueCase } from '../support/queue-case.ts';
import type { JobRecord, NamespaceHistory } from './namespace-history.ts';
import type { Script, ScriptedMessage } from './script.ts';
import type { ScriptPlayer } from './script-player.ts';

/** What a case is judged by. */
export interface Evidence {
  readonly script: Script;
  readonly queue: QueueCase;
  /** Of the messages that were sent, by id. */
  readonly messages: ReadonlyMap<string, ScriptedMessage>;
  readonly past: NamespaceHistory;
  readonly player: ScriptPlayer;
}

/** What there is still to be done, in one text each. */
export async function unfinished(evidence: Evidence): Promise<readonly string[]> {
  const jobs = unfinishedJobs(evidence);
  if (jobs.length > 0) return jobs;
  const { visible, inFlight } = await evidence.queue.counts();
  if (visible + inFlight > 0) return [`${visible} messages are visible, ${inFlight} in flight`];
  const { jobs: counts, lastSuccessTime } = await evidence.queue.status();
  if (counts?.active === 0 && lastSuccessTime !== undefined) return [];
  return [`status says ${counts?.active} active Jobs, last success ${lastSuccessTime ?? 'never'}`];
}

function unfinishedJobs({ past, messages, script }: Evidence): readonly string[] {
  const waiting = [...messages].filter(([id, { failures }]) => past.jobsOf(id).length <= failures);
  const open = past.jobs().filter(({ state, isOwing, isGone }) => !isGone && (isOwing || state === 'active'));
  return [
    ...waiting.map(([, { body }]) => `message "${body.slice(0, 40)}" has not had its runs`),
    ...open.map(({ name, state }) => `Job ${name} is ${state} and not settled`),
    ...beyondHistory(past, 'succeeded', script.successfulJobsHistoryLimit ?? 3),
    ...beyondHistory(past, 'failed', script.failedJobsHistoryLimit ?? 5),
  ];
}

function beyondHistory(past: NamespaceHistory, kept: JobRecord['state'], limit: number): readonly string[] {
  const count = past.jobs().filter(({ state, isGone }) => !isGone && state === kept).length;
  return count > limit ? [`${count} Jobs that have ${kept} are kept, not ${limit}`] : [];
}

/** Everything that must not have happened, or must not be there when nothing is left to do. */
export async function wrongs(evidence: Evidence, through: readonly SqsProxy[]): Promise<readonly string[]> {
  const { past, messages, player, queue } = evidence;
  const deadLetters = await queue.deadLetters();
  return [
    ...past.violations(),
    ...player.failures().map(String),
    ...[...messages].flatMap(([id, message]) => wrongRuns(evidence, id, message)),
    ...wrongOrder(evidence),
    ...strangers(evidence),
    ...earlyDeletes(player, through),
    ...(deadLetters > 0 ? [`${deadLetters} messages are in the dead-letter queue`] : []),
    ...(await remains(evidence)),
  ];
}

/** A message runs until it has succeeded, and never again; each of its runs is one Job. */
function wrongRuns(
  { past, player }: Evidence,
  id: string,
  { body, failures }: ScriptedMessage,
): readonly string[] {
  const ends = player.runsOf(id).map(({ hasSucceeded }) => hasSucceeded);
  const wanted = [...Array.from({ length: failures }, () => false), true];
  const jobs = past.jobsOf(id);
  const name = body.slice(0, 40);
  if (ends.join() !== wanted.join())
    return [`message "${name}" ran as [${ends.join()}], not [${wanted.join()}]`];
  return jobs.length === wanted.length
    ? []
    : [`message "${name}" had ${jobs.length} Jobs, not ${wanted.length}`];
}

/** The messages of a group run one after another, in the order in which they were sent. */
function wrongOrder({ messages, player }: Evidence): readonly string[] {
  const grouped = [...messages].filter(([, { group }]) => group !== undefined);
  return [...Map.groupBy(grouped, ([, { group }]) => group)].flatMap(([group, members]) => {
    const times = members.flatMap(([id]) => player.runsOf(id).map(({ atMs }) => atMs));
    const isOrdered = times.every((atMs, index) => index === 0 || atMs > (times[index - 1] ?? 0));
    return isOrdered ? [] : [`group ${group} did not run in order: ${times.join()}`];
  });
}

function strangers({ past, messages }: Evidence): readonly string[] {
  return past
    .jobs()
    .filter(({ messages: ids }) => !ids.some((id) => messages.has(id)))
    .map(({ name }) => `Job ${name} is for no message that was sent`);
}

/** Deletes that were asked for before a run of their message had ended well. */
function earlyDeletes(player: ScriptPlayer, through: readonly SqsProxy[]): readonly string[] {
  const ids = new Map(through.flatMap((sqs) => [...sqs.receiptHandles()]));
  return through
    .flatMap((sqs) => sqs.requests({ operation: 'DeleteMessageBatch' }))
    .flatMap((request) => entriesOf(request).map(({ ReceiptHandle }) => ({ ReceiptHandle, request })))
    .flatMap(({ ReceiptHandle, request }) => {
      const id = ids.get(ReceiptHandle) ?? '';
      const success = player.runsOf(id).find(({ hasSucceeded }) => hasSucceeded);
      return (success?.atMs ?? Number.POSITIVE_INFINITY) > request.atMs
        ? [`message ${id} was deleted before it had succeeded`]
        : [];
    });
}

/** Objects that nothing needs any more. */
async function remains({ queue, past }: Evidence): Promise<readonly string[]> {
  const jobs = past.jobs().flatMap(({ name, isGone }) => (isGone ? [] : [name]));
  const secrets = await queue.stage.client.list(SECRETS, { namespace: queue.namespace });
  const object = await queue.object();
  const found = secrets.items
    .filter(({ metadata }) => !jobs.some((name) => metadata.name.startsWith(name)))
    // What was made for a Job that never came goes with the BatchQueue, and before that by the sweep after ten minutes.
    .filter((secret) => !willBeSwept(secret, object))
    .map(({ metadata }) => `Secret ${metadata.name} belongs to no Job`);
  const revisions = await queue.revisions();
  if (revisions.length !== 1) found.push(`there are ${revisions.length} revisions of one template`);
  const finalizers = object?.metadata.finalizers ?? [];
  if (finalizers.length > 0) found.push(`the BatchQueue has finalizers: ${finalizers.join()}`);
  return found;
}

function willBeSwept({ metadata }: KubeObject, batchQueue: KubeObject | undefined): boolean {
  const owners = metadata.ownerReferences?.map(({ uid }) => uid) ?? [];
  return (
    metadata.labels?.['batchqueue.io/queue'] === batchQueue?.metadata.name &&
    owners.join() === batchQueue?.metadata.uid
  );
}
