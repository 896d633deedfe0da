import type { Settle } from '../plan/plan.ts';
import { idsOf } from './claiming.ts';
import { type Happening, type Subject, tell, type World } from './interpreter.ts';
import type { Answer } from './telling-queue.ts';

interface Told {
  readonly settled: readonly Answer[];
  readonly isFinal: boolean;
}

/** One event for a settlement, and none for one that changed nothing a user would miss. */
export function tellUser(action: Settle, told: Told, subject: Subject, world: World): void {
  const happening = happeningOf(action, told);
  if (happening) tell(subject, world, happening);
}

function happeningOf(action: Settle, { settled, isFinal }: Told): Happening | undefined {
  const { claim, note } = action;
  const { name } = claim.job.metadata;
  if (note === 'superseded') return undefined;
  if (note === 'abandoned') {
    const text = `Job ${name} has no readable ledger; its message returns when its visibility timeout ends.`;
    return { type: 'Warning', reason: 'LedgerUnreadable', note: text };
  }
  const unsettled = settled.filter(({ error }) => error);
  if (unsettled.length > 0) {
    const text = `Job ${name} goes, but SQS did not settle ${messagesOf(unsettled)}; what is not deleted returns when its visibility timeout ends.`;
    return { type: 'Warning', reason: 'SettlementRefused', note: text };
  }
  if (settled.some(({ fate }) => fate === 'held')) {
    const text = `Job ${name} is done, but the receipt handle has expired: ${messagesOf(settled)} is deleted at its next delivery.`;
    return { type: 'Warning', reason: 'LeaseLost', note: text };
  }
  if (settled.length === 0 && !isFinal) return undefined;
  return settled.every(({ fate }) => fate === 'deleted') && action.result?.reason !== 'JobDeleted'
    ? succeeded(action, settled)
    : failed(action, settled);
}

function succeeded({ claim, result }: Settle, settled: readonly Answer[]): Happening | undefined {
  const { name } = claim.job.metadata;
  const copied = settled.filter(({ verdict }) => verdict.does === 'copy');
  if (copied.length > 0) {
    const text = `Job ${name}: ${wordsOf(result)}. Copied to the dead-letter queue: ${messagesOf(copied)}.`;
    return { type: 'Warning', reason: 'MessageRejected', note: text };
  }
  if (settled.length === 0) return undefined;
  const words = result?.message ? `: ${result.message}` : '';
  return { reason: 'JobSucceeded', note: `Job ${name} succeeded${words}; ${messagesOf(settled)} deleted.` };
}

function failed({ claim, result }: Settle, settled: readonly Answer[]): Happening {
  const { name } = claim.job.metadata;
  const parts = [
    ['deleted', settled.filter(({ fate }) => fate === 'deleted')],
    ['rejected, left to the redrive policy', settled.filter(({ fate }) => fate === 'rejected')],
    ['visible again', settled.filter(({ fate }) => fate === 'released')],
  ] as const;
  const sentences = parts
    .filter(([, answers]) => answers.length > 0)
    .map(([what, answers]) => `${capitalized(messagesOf(answers))} ${what}${delayOf(answers)}.`);
  const reason = claim.deleting && claim.outcome === 'active' ? 'JobDeleted' : 'JobFailed';
  return { type: 'Warning', reason, note: [`Job ${name}: ${wordsOf(result)}.`, ...sentences].join(' ') };
}

function delayOf(answers: readonly Answer[]): string {
  const seconds = Math.min(...answers.map(({ verdict }) => verdict.delaySeconds));
  return answers.some(({ fate }) => fate === 'deleted') ? '' : ` in ${seconds} s`;
}

function messagesOf(answers: readonly Answer[]): string {
  return idsOf(answers.map(({ verdict }) => verdict.message));
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function wordsOf(result: Settle['result']): string {
  return [result?.reason, result?.message].filter(Boolean).join(': ');
}
