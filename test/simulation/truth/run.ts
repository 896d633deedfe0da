/** What became of one message in one Job: open until the Job (or its index) has ended. */
export type UnitState = 'open' | 'done' | 'failed' | 'rejected';

/** One message in one Job. */
export interface Unit {
  readonly messageId: string;
  readonly index: number;
  state: UnitState;
}

/** One Job that holds messages, as it really is; what the operator thinks of it does not matter here. */
export interface Run {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly batchQueue: string;
  /** Uid of the BatchQueue that it was made for. */
  readonly ownerUid: string;
  readonly queueUrl: string;
  readonly attempt: number;
  readonly createdAtMs: number;
  readonly isIndexed: boolean;
  readonly units: readonly Unit[];
  /** Which operator made it. */
  readonly by: string;
  finished: 'no' | 'complete' | 'failed';
  /** Why it failed, as its condition says. */
  failure: string | undefined;
  deleting: boolean;
  /** The object is gone. */
  gone: boolean;
  owesSettlement: boolean;
  /** Indexes (or 0) of its pods that have not ended, by pod name. */
  readonly alivePods: Map<string, number>;
  hasRun: boolean;
  /** Pods that a node refused, and that still stand there. */
  refusedPods: number;
  finishedAtMs: number | undefined;
  /** A pod of it was taken away while it owed its settlement: what its worker reported may never have been read. */
  lostPod: boolean;
}

/** True while a worker works on this message, or may begin to. */
export function isLive(run: Run, unit: Unit): boolean {
  if (unit.state !== 'open') return false;
  for (const index of run.alivePods.values()) if (!run.isIndexed || index === unit.index) return true;
  return !run.gone && !run.deleting && run.finished === 'no';
}
