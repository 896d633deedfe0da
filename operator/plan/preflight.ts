import type { Problem } from './problem.ts';
import type { ResolvedImages } from './resolved-images.ts';

/**
 * What is checked before the first message is received, and from then on: what a Job of this BatchQueue needs, apart
 * from the queue and the template. Each check has a condition of its own.
 */
export type CheckName = 'serviceAccount' | 'storage' | 'image' | 'pullSecret';

/** The answer of a check, as its condition tells it. */
export interface Check extends Problem {
  readonly status: 'True' | 'False' | 'Unknown';
  /**
   * Every message would meet the fault, so none is received while it lasts. False for a warning, and always when the
   * check itself could not be done: what cannot be looked at may well work.
   */
  readonly holdsIntake: boolean;
  /** What the tags of the template mean, as far as somebody told. */
  readonly images?: ResolvedImages;
}

/** The last answers; a check that this operator does not do is absent, and so is its condition. */
export type Preflight = Readonly<Partial<Record<CheckName, Check>>>;

/** In the order of the conditions. */
export const CHECK_CONDITIONS: readonly (readonly [CheckName, string])[] = [
  ['serviceAccount', 'ServiceAccountReady'],
  ['storage', 'StorageReady'],
  ['image', 'ImageResolved'],
  ['pullSecret', 'PullSecretReady'],
];

/** Until the first answer: nothing is received before everything has been looked at once. */
export const CHECKING: Check = {
  status: 'Unknown',
  reason: 'Checking',
  message: 'This has not been checked yet.',
  holdsIntake: true,
};

/** All is well. */
export function passed(reason: string, message: string): Check {
  return { status: 'True', reason, message, holdsIntake: false };
}

/** Every message would meet this; the message names what to do. */
export function faulty(reason: string, message: string): Check {
  return { status: 'False', reason, message, holdsIntake: true };
}

/** Messages run all the same; the message says what they risk, and what to do. */
export function warned(reason: string, message: string): Check {
  return { status: 'False', reason, message, holdsIntake: false };
}

/** The check could not be done, which says nothing about messages: they run. */
export function unchecked(reason: string, message: string): Check {
  return { status: 'Unknown', reason, message, holdsIntake: false };
}

/** Whether a check says that every message would meet a fault, or has not answered yet. */
export function isHeldByPreflight(preflight: Preflight): boolean {
  return Object.values(preflight).some(({ holdsIntake }) => holdsIntake);
}
