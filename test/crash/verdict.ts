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
    ...waiting.map(([, { body }]) => `message "${body}" has not had its runs`),
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
    ...[...messages].flatMap(([id, message]) => wrongRuns(past, id, message)),
    ...strangers(evidence),
    ...earlyDeletes(player, through),
    ...(deadLetters > 0 ? [`${deadLetters} messages are in the dead-letter queue`] : []),
    ...(await remains(evidence)),
  ];
}

/** A message runs until it has succeeded, and never again. */
function wrongRuns(
  past: NamespaceHistory,
  id: string,
  { body, failures }: ScriptedMessage,
): readonly string[] {
  const states = past.jobsOf(id).map(({ state }) => state);
  const wanted = [...Array.from({ length: failures }, () => 'failed'), 'succeeded'];
  if (states.join() === wanted.join()) return [];
  return [`message "${body}" had Jobs that [${states.join()}], not [${wanted.join()}]`];
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
      const succeededAtMs = player.succeededAtMs(id) ?? Number.POSITIVE_INFINITY;
      return succeededAtMs > request.atMs ? [`message ${id} was deleted before it had succeeded`] : [];
    });
}

/** Objects that nothing needs any more. */
async function remains({ queue, past }: Evidence): Promise<readonly string[]> {
  const jobs = new Set(past.jobs().flatMap(({ name, isGone }) => (isGone ? [] : [name])));
  const secrets = await queue.stage.client.list(SECRETS, { namespace: queue.namespace });
  const found = secrets.items
    .filter(({ metadata }) => !jobs.has(metadata.name))
    .map(({ metadata }) => `Secret ${metadata.name} belongs to no Job`);
  const revisions = await queue.revisions();
  if (revisions.length !== 1) found.push(`there are ${revisions.length} revisions of one template`);
  const finalizers = (await queue.object())?.metadata.finalizers ?? [];
  if (finalizers.length > 0) found.push(`the BatchQueue has finalizers: ${finalizers.join()}`);
  return found;
}
