import { pino } from 'pino';
import type { Log } from '../ports.ts';

/** JSON lines on standard output. Fields are chosen where they are logged; nothing logs whole objects. */
export function createLog(level: string): Log {
  return pino({
    level,
    base: {},
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    // A second line of defence: these must never be logged in the first place.
    redact: [
      'receiptHandle',
      'body',
      'credentials',
      'token',
      '*.receiptHandle',
      '*.body',
      '*.credentials',
      '*.token',
    ],
  });
}
