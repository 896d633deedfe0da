import type { Case } from './case.ts';
import { ADMINISTRATION } from './cases/administration.ts';
import { CONTENTS } from './cases/contents.ts';
import { DEAD_LETTERS } from './cases/dead-letters.ts';
import { FIFO_CASES } from './cases/fifo.ts';
import { RECEIVING } from './cases/receiving.ts';
import { VISIBILITY } from './cases/visibility.ts';

/** What SQS does, as far as the operator depends on it. Those that wait longest come first. */
export const CASES: readonly Case[] = [
  ...RECEIVING,
  ...VISIBILITY,
  ...FIFO_CASES,
  ...CONTENTS,
  ...DEAD_LETTERS,
  ...ADMINISTRATION,
];
