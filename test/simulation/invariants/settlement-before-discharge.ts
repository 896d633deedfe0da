import { PODS } from '../../../operator/world.ts';
import type { Run, Unit } from '../truth/run.ts';
import type { Invariant, WorldView } from '../truth/view.ts';

export const settlementBeforeDischarge: Invariant = {
  id: 'I10',
  name: 'settlement-before-discharge',
  sentence:
    'The settlement finalizer goes only after SQS was asked to delete what is done and to give back what is not, or a newer run holds the message.',
  watch: (world, broken) => {
    /** When SQS was last asked, by message. */
    const deletes = new Map<string, number>();
    const releases = new Map<string, number>();
    return {
      asked: (what, { id }) => {
        if (what === 'delete') deletes.set(id, world.clock.now());
        if (what === 'release') releases.set(id, world.clock.now());
      },
      discharged: (run) => {
        if (world.actor === 'world') return;
        const open = run.units.filter((unit) => {
          if (isWithNewerRun(run, unit, world)) return false;
          if (unit.state === 'done' && !isForgotten(run, world))
            return !deletes.has(unit.messageId) && isStillThere(unit, world);
          const isAsked =
            (releases.get(unit.messageId) ?? 0) >= run.createdAtMs || deletes.has(unit.messageId);
          // A Job that is being deleted waits for no release: the timeout has the same effect.
          return !isAsked && !run.deleting && isInFlight(unit, world);
        });
        if (open.length > 0 && !isDenied(world))
          broken(
            `${world.actor} discharged ${run.name} owing for ${open.map(({ messageId }) => messageId).join(', ')}`,
          );
      },
    };
  },
};

/** Also one of a later attempt that was made before it: its own create may have been carried out late. */
function isWithNewerRun(run: Run, { messageId }: Unit, { book }: WorldView): boolean {
  return book
    .runsOf(messageId)
    .some((other) => other.createdAtMs > run.createdAtMs || other.attempt > run.attempt);
}

/** Of a Job that failed only its worker's report says what is done, and somebody may delete that with the pod. */
function isForgotten(run: Run, { api }: WorldView): boolean {
  if (run.finished !== 'failed' || run.isIndexed) return false;
  const labelSelector = `batch.kubernetes.io/controller-uid=${run.uid}`;
  return run.deleting || api.list(PODS, { namespace: run.namespace, labelSelector }).items.length === 0;
}

function isStillThere({ messageId }: Unit, world: WorldView): boolean {
  return world.queueOf(messageId)?.messages().get(messageId)?.place === 'queue';
}

function isInFlight(unit: Unit, world: WorldView): boolean {
  const message = world.queueOf(unit.messageId)?.messages().get(unit.messageId);
  return message?.place === 'queue' && message.visibleAtMs > world.clock.now();
}

/** Nothing may hang for a queue that can no longer be had. */
function isDenied({ requests, clock }: WorldView): boolean {
  return requests
    .slice(-40)
    .some(({ what, atMs }) => what.includes('(denied)') && atMs > clock.now() - 2_000);
}
