import { ANNOTATION_LEDGER, ANNOTATION_RESULT, FINALIZER_SETTLEMENT } from '../../operator/api/names.ts';
import { claimFrom } from '../../operator/plan/claim.ts';
import { formatLedger } from '../../operator/plan/ledger.ts';
import { revisionFrom } from '../../operator/plan/revision.ts';
import type { Action, Claim, Settle, Snapshot } from '../../operator/plan/types.ts';
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
    case 'deleteRevision':
      return {
        ...snapshot,
        revisions: snapshot.revisions.filter(({ number }) => number !== action.revision.number),
      };
    case 'checkTemplate':
      return { ...snapshot, templateCheck: { kind: 'valid' } };
    case 'claim': {
      const made = claimFrom({ ...action.job, metadata: { ...action.job.metadata, uid: 'new' } });
      return withoutMessage({ ...snapshot, claims: [...snapshot.claims, made] }, action.message.id);
    }
    case 'adopt': {
      const annotations = { [ANNOTATION_LEDGER]: formatLedger(action.ledger) };
      const changed = withMetadata(action.claim, { annotations, finalizers: [FINALIZER_SETTLEMENT] });
      return withoutMessage(withClaim(snapshot, action.claim, changed), action.message.id);
    }
    case 'discard':
    case 'release':
    case 'forget':
      return withoutMessage(snapshot, action.message.id);
    case 'settle':
      return settled(snapshot, action);
    case 'stopPods': {
      const { name } = action.claim.job.metadata;
      const { running = 0, terminating = 0, result } = snapshot.pods.get(name) ?? {};
      const after = { running: 0, terminating: terminating + running, result };
      return { ...snapshot, pods: new Map([...snapshot.pods, [name, after]]) };
    }
    case 'deleteJob':
      return withClaim(snapshot, action.claim, undefined);
  }
}

/** A Job that is being deleted disappears with its last finalizer. */
function settled(snapshot: Snapshot, { claim, result, messages }: Settle): Snapshot {
  const annotations = result ? { [ANNOTATION_RESULT]: JSON.stringify(result) } : {};
  const after = claim.deleting ? undefined : withMetadata(claim, { annotations, finalizers: [] });
  let next = withClaim(snapshot, claim, after);
  for (const { id } of messages) next = withoutMessage(next, id);
  return next;
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

function withoutMessage(snapshot: Snapshot, id: string): Snapshot {
  return { ...snapshot, inbox: snapshot.inbox.filter((message) => message.id !== id) };
}
