/** What the worker says in a pod. */
import { pino } from 'pino';
import type { Report } from './report.ts';

/** Structured lines on stdout, each with `fields`. Written synchronously: nothing is lost when the process ends. */
export function jsonReport(fields: object): Report {
  const log = pino({
    base: fields,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  });
  return {
    progress: (task, progress) => log.info({ ...task, ...progress }, 'processing'),
    done: (task, totals, seconds) => log.info({ ...task, ...totals, seconds }, 'published'),
    foundDone: (task, totals) => log.info({ ...task, ...totals }, 'already published'),
    failed: (more, reason) => log.error({ ...more, reason }, 'failed'),
    note: (more, text) => log.warn(more, text),
  };
}
