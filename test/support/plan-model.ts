import {
  ANNOTATION_IMAGES,
  ANNOTATION_LEDGER,
  ANNOTATION_NEVER_STARTED,
  ANNOTATION_RESULT,
  FINALIZER_SETTLEMENT,
} from '../../operator/api/names.ts';
import { claimFrom } from '../../operator/plan/claim.ts';
import type { Claim } from '../../operator/plan/job-facts.ts';
import { formatLedger, withFates } from '../../operator/plan/ledger.ts';
import type { Action, Settle } from '../../operator/plan/plan.ts';
import { formatResolvedImages } from '../../operator/plan/resolved-images.ts';
import { revisionFrom } from '../../operator/plan/revision.ts';
import type { Snapshot } from '../../operator/plan/snapshot.ts';
import type { KubeObject, ObjectMeta } from '../../operator/ports.ts';

/** The snapshot after one action was carried out and nothing else happened: what a turn would see next. */
export function applied(snapshot: Snapshot, action: Action): Snapshot {
  switch (action.kind) {
    case 'createRevision': {
      const made = revisionFrom(action.object);
      return { ...snapshot, revisions: [...snapshot.revisions, ...(made ? [made] : [])] };
    }
    case 'renumberRevision': {
      const { revision, number } = action;
      const renumbered = { ...revision, number, object: { ...revision.object, revision: number } };
      return {
        ...snapshot,
        revisions: snapshot.revisions.map((known) => (known.hash === revision.hash ? renumbered : known)),
      };
    }
    case 'keepImages': {
      const { object } = action.revision;
      const annotations = { [ANNOTATION_IMAGES]: formatResolvedImages(action.images) };
      const kept = revisionFrom({ ...object, metadata: { ...object.metadata, annotations } });
      return {
        ...snapshot,
        revisions: snapshot.revisions.map((known) => (known.hash === kept?.hash ? kept : known)),
      };
    }
    case 'deleteRevision':
      return {
        ...snapshot,
        revisions: snapshot.revisions.filter(({ number }) => number !== action.revision.number),
      };
    case 'checkTemplate':
      return { ...snapshot, templateCheck: { kind: 'valid' } };
    case 'claim':
      return withJob(snapshot, action.job, action.messages);
    case 'rerun':
      return withJob(snapshot, action.job, action.redelivered);
    case 'adopt': {
      const annotations = { [ANNOTATION_LEDGER]: formatLedger(action.ledger) };
      const changed = withMetadata(action.claim, { annotations, finalizers: [FINALIZER_SETTLEMENT] });
      return withoutMessages(withClaim(snapshot, action.claim, changed), action.messages);
    }
    case 'release':
      return withoutMessages(snapshot, action.messages);
    case 'discard':
    case 'forget':
      return withoutMessages(snapshot, [action.message]);
    case 'listJobs':
      return { ...snapshot, jobsListedAtMs: snapshot.nowMs, unconfirmed: [] };
    case 'sweepPayloads':
      return { ...snapshot, sweepAtMs: undefined };
    case 'settle':
      return settled(snapshot, action);
    case 'readStartEvents': {
      const read = { readAtMs: snapshot.nowMs, events: [] };
      return { ...snapshot, startEvents: new Map([...snapshot.startEvents, [action.about.uid, read]]) };
    }
    case 'markNeverStarted': {
      const { claim, reason } = action;
      const { [ANNOTATION_NEVER_STARTED]: _, ...others } = claim.job.metadata.annotations ?? {};
      const annotations = { ...others, ...(reason !== undefined && { [ANNOTATION_NEVER_STARTED]: reason }) };
      const { job } = claim;
      return withClaim(snapshot, claim, { ...job, metadata: { ...job.metadata, annotations } });
    }
    case 'endStuckJob': {
      const marked = withMetadata(action.claim, {
        annotations: { [ANNOTATION_NEVER_STARTED]: action.reason },
      });
      const spec = { ...Object(marked['spec']), activeDeadlineSeconds: 1 };
      return withClaim(snapshot, action.claim, { ...marked, spec });
    }
    case 'stopPods': {
      const { name } = action.claim.job.metadata;
      const before = snapshot.pods.get(name);
      if (!before) return snapshot;
      const after = { ...before, running: 0, terminating: before.terminating + before.running };
      return { ...snapshot, pods: new Map([...snapshot.pods, [name, after]]) };
    }
    case 'deleteJob':
      return withClaim(snapshot, action.claim, undefined);
  }
}

function withJob(snapshot: Snapshot, job: KubeObject, messages: readonly { id: string }[]): Snapshot {
  const made = claimFrom({ ...job, metadata: { ...job.metadata, uid: 'new' } });
  const unconfirmed = snapshot.unconfirmed.filter(
    ({ action }) => action.job.metadata.name !== job.metadata.name,
  );
  return withoutMessages({ ...snapshot, claims: [...snapshot.claims, made], unconfirmed }, messages);
}

const FATES = { delete: 'deleted', copy: 'deleted', release: 'released', reject: 'rejected' } as const;

/** A Job that is being deleted disappears with its last finalizer. */
function settled(snapshot: Snapshot, { claim, result, verdicts, final }: Settle): Snapshot {
  const fates = new Map(verdicts.map(({ message, does }) => [message.index, FATES[does]]));
  const annotations = {
    ...(claim.ledger && { [ANNOTATION_LEDGER]: formatLedger(withFates(claim.ledger, fates)) }),
    ...(result && { [ANNOTATION_RESULT]: JSON.stringify(result) }),
  };
  const finalizers = final ? [] : (claim.job.metadata.finalizers ?? []);
  const after = final && claim.deleting ? undefined : withMetadata(claim, { annotations, finalizers });
  return withoutMessages(
    withClaim(snapshot, claim, after),
    verdicts.map(({ message }) => message),
  );
}

function withMetadata({ job }: Claim, { annotations, ...metadata }: Partial<ObjectMeta>): KubeObject {
  return {
    ...job,
    metadata: { ...job.metadata, ...metadata, annotations: { ...job.metadata.annotations, ...annotations } },
  };
}

function withClaim(snapshot: Snapshot, { job }: Claim, after: KubeObject | undefined): Snapshot {
  const isSame = (claim: Claim) => claim.job.metadata.name === job.metadata.name;
  return {
    ...snapshot,
    claims: snapshot.claims.flatMap((claim) => {
      if (!isSame(claim)) return [claim];
      return after ? [claimFrom(after)] : [];
    }),
  };
}

function withoutMessages(snapshot: Snapshot, messages: readonly { id: string }[]): Snapshot {
  const gone = new Set(messages.map(({ id }) => id));
  return { ...snapshot, inbox: snapshot.inbox.filter(({ id }) => !gone.has(id)) };
}
