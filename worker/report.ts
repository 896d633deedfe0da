/** What the worker says while it works: plain lines for a person; `json-report.ts` has those of a pod. Never a message body. */
import type { Progress } from './progress.ts';
import { clearedLine, progressLine } from './progress-bar.ts';
import type { Totals } from './totals.ts';

/** The paths of a task, for people. */
interface Named {
  readonly input: string;
  readonly output: string;
  /** Present when the task came with a message. */
  readonly messageId?: string;
  /** Size of the input when the task began, 0 or absent when unknown. */
  readonly inputBytes?: number;
}

export interface Report {
  progress(task: Named, progress: Progress): void;
  done(task: Named, totals: Readonly<Totals>, seconds: number): void;
  /** An earlier run of the same message has done the work. */
  foundDone(task: Named, totals: Readonly<Totals>): void;
  /** A record failed, or the run as a whole (`fields` empty). */
  failed(fields: object, reason: string): void;
  /** Something went wrong that changes nothing about the outcome. */
  note(fields: object, text: string): void;
}

/** Writes a line; the line end is not part of it. */
type WriteLine = (line: string) => void;

/** Where a person is told. */
export interface Output {
  readonly say: WriteLine;
  readonly complain: WriteLine;
  /** Present when it is a terminal. */
  readonly terminal: Terminal | undefined;
}

/** One line per event for a terminal; what went wrong goes to `complain`. */
export function plainReport(say: WriteLine, complain: WriteLine): Report {
  return {
    progress: (task, { rowsIn, bytesIn, rowsPerSecond }) =>
      say(`${task.input}: ${rowsIn} rows, ${sizeText(bytesIn)} read, ${rowsPerSecond} rows/s`),
    done: (task, { rowsOut, rowsRejected, bytesOut }, seconds) => {
      const rejected = rowsRejected === 0 ? '' : `, ${rowsRejected} bad rows set aside`;
      say(
        `${task.output}: ${rowsOut} rows, ${sizeText(bytesOut)} written in ${seconds.toFixed(2)} s${rejected}`,
      );
    },
    foundDone: (task) => say(`${task.output}: already published`),
    failed: (_fields, reason) => complain(reason),
    note: (_fields, text) => complain(text),
  };
}

/** Where a person looks: a terminal that understands control sequences. */
interface Terminal {
  write(text: string): unknown;
  /** Width in cells. */
  readonly columns: number;
}

/** `plainReport` with a progress bar on `terminal` instead of a line for each step. */
export function terminalReport(plain: Report, terminal: Terminal): Report {
  const clear = () => terminal.write(clearedLine());
  return {
    progress: ({ inputBytes = 0 }, progress) =>
      terminal.write(progressLine(progress, inputBytes, terminal.columns)),
    done: (task, totals, seconds) => {
      clear();
      plain.done(task, totals, seconds);
    },
    foundDone: (task, totals) => {
      clear();
      plain.foundDone(task, totals);
    },
    failed: (fields, reason) => {
      clear();
      plain.failed(fields, reason);
    },
    note: (fields, text) => {
      clear();
      plain.note(fields, text);
    },
  };
}

function sizeText(bytes: number): string {
  return bytes < 100_000 ? `${bytes} bytes` : `${(bytes / 1e6).toFixed(1)} MB`;
}
