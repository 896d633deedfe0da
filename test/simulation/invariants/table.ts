import type { Invariant } from '../truth/view.ts';
import { attempts } from './attempts.ts';
import { comesToRest } from './comes-to-rest.ts';
import { deleteOnlyAfterSuccess } from './delete-only-after-success.ts';
import { doneIsDone } from './done-is-done.ts';
import { fifoGivenBack } from './fifo-given-back.ts';
import { fifoOrder } from './fifo-order.ts';
import { leaseKept } from './lease-kept.ts';
import { leaseOutlivesCreate } from './lease-outlives-create.ts';
import { noHotLoop } from './no-hot-loop.ts';
import { noLoss } from './no-loss.ts';
import { nothingLeftOver } from './nothing-left-over.ts';
import { oneActiveJob } from './one-active-job.ts';
import { payloadIsThere } from './payload-is-there.ts';
import { receiveWhatCanRun } from './receive-what-can-run.ts';
import { rejectedIsRemembered } from './rejected-is-remembered.ts';
import { runningJobsAreLeftAlone } from './running-jobs-are-left-alone.ts';
import { settlementBeforeDischarge } from './settlement-before-discharge.ts';
import { truthfulEvents } from './truthful-events.ts';
import { truthfulStatus } from './truthful-status.ts';
import { withinLimit } from './within-limit.ts';

/** Everything that must hold in every history; numbers as in the list of invariants this project works with. */
export const INVARIANTS: readonly Invariant[] = [
  noLoss,
  deleteOnlyAfterSuccess,
  oneActiveJob,
  leaseOutlivesCreate,
  leaseKept,
  doneIsDone,
  fifoOrder,
  fifoGivenBack,
  withinLimit,
  receiveWhatCanRun,
  settlementBeforeDischarge,
  nothingLeftOver,
  noHotLoop,
  comesToRest,
  runningJobsAreLeftAlone,
  truthfulStatus,
  truthfulEvents,
  attempts,
  rejectedIsRemembered,
  payloadIsThere,
];
