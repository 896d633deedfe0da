import { CHECK_CONDITIONS } from './preflight.ts';
import type { Snapshot } from './snapshot.ts';
import { checking, holding, isTrue, type Verdict } from './verdict.ts';

/** What is said of what a Job needs in the cluster: what the preflight checks, and its template. */

export function preflightConditions({ preflight }: Snapshot): readonly Verdict[] {
  return CHECK_CONDITIONS.flatMap(([name, type]) => {
    const check = preflight[name];
    return check ? [{ type, ...check }] : [];
  });
}

export function templateValid({ templateCheck }: Snapshot): Verdict {
  const type = 'TemplateValid';
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
