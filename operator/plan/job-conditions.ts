import { CHECK_CONDITIONS, type Check, warned } from './preflight.ts';
import type { Problem } from './problem.ts';
import { missingPin } from './revision.ts';
import type { Snapshot } from './snapshot.ts';
import { checking, holding, isTrue, type Verdict } from './verdict.ts';

/** What is said of what a Job needs in the cluster: what the preflight checks, and its template. */

/** `starting`: why pods do not start, if they do not. */
export function preflightConditions(
  { preflight }: Snapshot,
  starting: Problem | undefined,
): readonly Verdict[] {
  return CHECK_CONDITIONS.flatMap(([name, type]) => {
    const check = preflight[name];
    if (!check) return [];
    return [{ type, ...(name === 'storage' ? withMounts(check, starting) : check) }];
  });
}

/** What pods say of their volumes. They know better than any check, and intake is held for them where it must be. */
const VOLUME_TROUBLES: ReadonlySet<string> = new Set([
  'VolumeNotMounted',
  'VolumeClaimNotFound',
  'VolumeClaimNotBound',
]);

function withMounts(check: Check, starting: Problem | undefined): Check {
  if (!starting || check.holdsIntake || !VOLUME_TROUBLES.has(starting.reason)) return check;
  const hint = check.status === 'False' ? ` ${check.message}` : '';
  return warned(starting.reason, `${starting.message}${hint}`);
}

export function templateValid({ templateCheck, queue, revisions }: Snapshot): Verdict {
  const type = 'TemplateValid';
  const missing = queue && missingPin(queue, revisions);
  if (missing) return holding(type, missing);
  switch (templateCheck.kind) {
    case 'unknown':
      return { ...checking(type, 'The Job template has not been checked yet.'), holdsIntake: true };
    case 'invalid': {
      const { reason = 'TemplateRefused', message } = templateCheck;
      return holding(type, { reason, message });
    }
    case 'valid':
      return isTrue(type, 'Accepted', 'The API server accepts Jobs of this template.');
  }
}
