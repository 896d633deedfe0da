import { FINALIZER_SETTLEMENT } from '../../../operator/api/names.ts';
import type { Clock, KubeObject } from '../../../operator/ports.ts';
import { JOBS, PODS } from '../../../operator/world.ts';
import type { ApiServer } from '../kubernetes/api-server.ts';
import type { ObjectEvent } from '../kubernetes/event-log.ts';
import { indexOf, JOB_UID, jobOf } from '../kubernetes/job-controller.ts';
import { conditionReason, hasCondition, isFinished } from '../kubernetes/job-state.ts';
import { phaseOf } from '../kubernetes/kubelet.ts';
import type { Outcome } from '../worker/report.ts';
import { contentsOf } from './job-contents.ts';
import { isLive, type Run, type Unit } from './run.ts';

/** Told of what becomes of runs, at the moment it does. */
export interface BookReader {
  /** A Job of an operator in whose pods there would be no messages file. */
  unreadable(job: KubeObject): void;
  /** Told before the run is in the book. */
  made(run: Run, job: KubeObject): void;
  finished(run: Run): void;
  /** Somebody deletes the Job. */
  deleting(run: Run): void;
  /** Nothing is owed any more, says whoever dropped the finalizer. */
  discharged(run: Run): void;
}

/** Every Job that ever held messages and what really became of each: what checks compare the operator's deeds with. */
export class Book {
  readonly #api: ApiServer;
  readonly #clock: Clock;
  readonly #reader: BookReader;
  readonly #runs = new Map<string, Run>();
  readonly #byMessage = new Map<string, Run[]>();
  readonly #outcomes = new Map<string, { readonly index: number; readonly outcome: Outcome }[]>();
  /** Who acts at the moment. */
  readonly #actor: () => string;

  constructor(api: ApiServer, clock: Clock, actor: () => string, reader: BookReader) {
    this.#api = api;
    this.#clock = clock;
    this.#actor = actor;
    this.#reader = reader;
    api.watch((event) => {
      if (event.plural === JOBS.plural) this.#noticeJob(event);
      if (event.plural === PODS.plural) this.#noticePod(event);
    });
  }

  runs(): Iterable<Run> {
    return this.#runs.values();
  }

  runOfJob(uid: string): Run | undefined {
    return this.#runs.get(uid);
  }

  /** All runs that held this message, oldest first. */
  runsOf(messageId: string): readonly Run[] {
    return this.#byMessage.get(messageId) ?? [];
  }

  /** The part of a run that is about this message. */
  static unitOf(run: Run, messageId: string): Unit | undefined {
    return run.units.find((unit) => unit.messageId === messageId);
  }

  /** Runs in which somebody works on this message now, or may begin to. */
  liveRunsOf(messageId: string): readonly Run[] {
    return this.runsOf(messageId).filter((run) => {
      const unit = Book.unitOf(run, messageId);
      return unit !== undefined && isLive(run, unit);
    });
  }

  /** True once a Job with this message has ended in a way that says it is done. */
  isDone(messageId: string): boolean {
    return this.runsOf(messageId).some((run) => Book.unitOf(run, messageId)?.state === 'done');
  }

  /**
   * True when it may be deleted: it is done, or exit code 0 stands alone since the pod that contradicted it is gone. A Job
   * that is being deleted need not say so: its pod's word will do.
   */
  mayBeDeleted(messageId: string): boolean {
    if (this.isDone(messageId) || this.runsOf(messageId).some((run) => this.#hasSaidDone(run, messageId)))
      return true;
    return this.runsOf(messageId).some(
      (run) => run.finished === 'complete' && !run.isIndexed && !this.#hasPods(run),
    );
  }

  #hasSaidDone(run: Run, messageId: string): boolean {
    const unit = Book.unitOf(run, messageId);
    const outcome = unit && this.#lastOutcome(run, run.isIndexed ? unit.index : 0);
    if (!outcome || !run.deleting || outcome.exitCode !== 0) return false;
    return run.isIndexed || outcome.done.has(unit.index);
  }

  #hasPods({ uid, namespace }: Run): boolean {
    return this.#api.list(PODS, { namespace, labelSelector: `${JOB_UID}=${uid}` }).items.length > 0;
  }

  /** A worker is about to end like this. */
  noteOutcome(pod: KubeObject, outcome: Outcome): void {
    const uid = jobOf(pod).metadata.uid ?? '';
    const known = this.#outcomes.get(uid) ?? [];
    known.push({ index: indexOf(pod), outcome });
    this.#outcomes.set(uid, known);
  }

  #noticeJob({ type, object }: ObjectEvent): void {
    if (type === 'ADDED') this.#add(object);
    const run = this.#runs.get(object.metadata.uid ?? '');
    if (!run) return;
    const isGone = type === 'DELETED';
    if (!run.deleting && (isGone || object.metadata.deletionTimestamp !== undefined)) {
      run.deleting = true;
      this.#reader.deleting(run);
    }
    if (run.finished === 'no') this.#judge(run, object);
    const owed = run.owesSettlement;
    run.owesSettlement = owesSettlement(object);
    if (owed && !run.owesSettlement) this.#reader.discharged(run);
    if (isGone) run.gone = true;
  }

  #add(job: KubeObject): void {
    const contents = contentsOf(job, this.#api);
    if (!contents) {
      if (this.#actor() !== 'world') this.#reader.unreadable(job);
      return;
    }
    const { uid = '', name, namespace = '', ownerReferences: [owner] = [] } = job.metadata;
    const run: Run = {
      uid,
      name,
      namespace,
      batchQueue: contents.environment.get('BATCHQUEUE_NAME') ?? '',
      ownerUid: String(owner?.uid),
      queueUrl: contents.environment.get('SQS_QUEUE_URL') ?? '',
      attempt: Number(contents.environment.get('BATCHQUEUE_ATTEMPT') ?? 0),
      createdAtMs: this.#clock.now(),
      isIndexed: Object(job['spec'])['completionMode'] === 'Indexed',
      units: contents.messageIds.map((messageId, index) => ({ messageId, index, state: 'open' })),
      by: this.#actor(),
      finished: 'no',
      failure: undefined,
      deleting: false,
      gone: false,
      owesSettlement: owesSettlement(job),
      alivePods: new Map(),
      hasRun: false,
      refusedPods: 0,
      finishedAtMs: undefined,
      lostPod: false,
    };
    this.#reader.made(run, job);
    this.#runs.set(uid, run);
    for (const messageId of contents.messageIds) {
      const runs = this.#byMessage.get(messageId) ?? [];
      runs.push(run);
      this.#byMessage.set(messageId, runs);
    }
  }

  #noticePod({ type, object, before }: ObjectEvent): void {
    const run = this.#runs.get(jobOf(object).metadata.uid ?? '');
    if (!run) return;
    const phase = phaseOf(object);
    if (phase === 'Running') run.hasRun = true;
    if (isRefused(object)) run.refusedPods += type === 'DELETED' ? -1 : isRefused(before) ? 0 : 1;
    if (type === 'DELETED' && run.owesSettlement) run.lostPod = true;
    const hasEnded = phase === 'Succeeded' || phase === 'Failed' || type === 'DELETED';
    if (hasEnded) run.alivePods.delete(object.metadata.name);
    else run.alivePods.set(object.metadata.name, indexOf(object));
  }

  #judge(run: Run, job: KubeObject): void {
    if (run.isIndexed) this.#judgeIndexes(run, job);
    if (!isFinished(job)) return;
    run.finished = hasCondition(job, 'Complete') ? 'complete' : 'failed';
    run.finishedAtMs = this.#clock.now();
    run.failure = conditionReason(job, 'Failed');
    if (!run.isIndexed) this.#judgeWhole(run);
    for (const unit of run.units) if (unit.state === 'open') unit.state = 'failed';
    this.#reader.finished(run);
  }

  #judgeIndexes(run: Run, job: KubeObject): void {
    const { completedIndexes = '', failedIndexes = '' } = Object(job['status']);
    for (const unit of run.units) {
      if (unit.state !== 'open') continue;
      if (isIn(completedIndexes, unit.index)) unit.state = 'done';
      else if (isIn(failedIndexes, unit.index))
        unit.state = this.#lastOutcome(run, unit.index)?.rejected.size ? 'rejected' : 'failed';
    }
  }

  /** The Job has ended as its last worker said, if that is how it ended. */
  #judgeWhole(run: Run): void {
    const outcome = this.#lastOutcome(run, 0);
    if (!outcome || (outcome.exitCode === 0) !== (run.finished === 'complete')) return;
    for (const unit of run.units) {
      if (outcome.done.has(unit.index)) unit.state = 'done';
      else if (outcome.rejected.has(unit.index)) unit.state = 'rejected';
      // On a FIFO queue what comes after a message that is not done is as good as not done.
      if (unit.state !== 'done' && run.queueUrl.endsWith('.fifo')) return;
    }
  }

  #lastOutcome(run: Run, index: number): Outcome | undefined {
    return this.#outcomes.get(run.uid)?.findLast((end) => end.index === index)?.outcome;
  }
}

function owesSettlement({ metadata }: KubeObject): boolean {
  return metadata.finalizers?.includes(FINALIZER_SETTLEMENT) ?? false;
}

/** True for a pod that its node would not run. */
function isRefused(pod: KubeObject | undefined): boolean {
  return pod !== undefined && Object(pod['status'])['reason'] === 'UnexpectedAdmissionError';
}

/** True when an index list in the API's form names this index. */
function isIn(list: string, index: number): boolean {
  return list.split(',').some((part) => {
    const [first = '', last = first] = part.split('-');
    return first !== '' && index >= Number(first) && index <= Number(last);
  });
}
