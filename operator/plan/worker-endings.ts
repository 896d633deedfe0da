import { attemptOf, isActive } from './claim.ts';
import type { Claim } from './job-facts.ts';
import { remember } from './remember.ts';
import { resultFromFailure } from './worker-result.ts';

/** How one Job of a revision ended, as far as its exit code goes. */
export interface Ending {
  readonly job: string;
  readonly messageId: string;
  readonly endedAtMs: number;
  readonly isMisconfigured: boolean;
  /** The worker's own words. */
  readonly message: string;
}

/** The worker says that it is set up wrongly. */
export const EX_CONFIG = 78;
/** So many of them in a row, from different messages, are not the messages' fault. */
const MISCONFIGURED_IN_A_ROW = 3;
/** Repeated failures of few messages may fill a row without being one; what is older is of no interest then. */
const MAX_ENDINGS = 30;

/** The newest endings first: those of these Jobs, and those known `before` whose Jobs the cluster has forgotten. */
export function newestEndings(claims: readonly Claim[], before: readonly Ending[]): readonly Ending[] {
  const seen = claims.flatMap((claim) => endingOf(claim) ?? []);
  const names = new Set(seen.map(({ job }) => job));
  return [...seen, ...before.filter(({ job }) => !names.has(job))]
    .toSorted((a, b) => b.endedAtMs - a.endedAtMs || (a.job < b.job ? -1 : 1))
    .slice(0, MAX_ENDINGS);
}

/** The newest ending when it is the last of three with exit code 78 in a row, from different messages; else undefined. */
export function misconfiguredRow(endings: readonly Ending[]): Ending | undefined {
  const others = endings.findIndex(({ isMisconfigured }) => !isMisconfigured);
  const row = others < 0 ? endings : endings.slice(0, others);
  const messages = new Set(row.map(({ messageId }) => messageId));
  return messages.size < MISCONFIGURED_IN_A_ROW ? undefined : row[0];
}

const endingOf: (claim: Claim) => Ending | undefined = remember(readEnding);

function readEnding(claim: Claim): Ending | undefined {
  if (isActive(claim)) return undefined;
  const { job, outcome, finishedAtMs, failure } = claim;
  const result = claim.result ?? resultFromFailure(failure);
  // Without an exit code the worker was taken away; that says nothing about how it is set up.
  if (outcome !== 'succeeded' && result.exitCode === undefined) return undefined;
  const ending = { job: job.metadata.name, messageId: firstMessageOf(claim), endedAtMs: finishedAtMs ?? 0 };
  if (outcome === 'succeeded' || result.exitCode !== EX_CONFIG) {
    return { ...ending, isMisconfigured: false, message: '' };
  }
  // The words of the Job controller say no more than the code; the worker's own come with the settlement.
  return { ...ending, isMisconfigured: true, message: claim.result?.message ?? '' };
}

function firstMessageOf(claim: Claim): string {
  return claim.ledger?.messages[0]?.id ?? `${claim.job.metadata.name} ${attemptOf(claim)}`;
}
