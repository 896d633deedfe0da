import type { Log } from '../../operator/ports.ts';

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: object;
  readonly text: string;
}

/** A log that keeps its lines, for tests that assert on them or that want none of them on the screen. */
export class MemoryLog implements Log {
  readonly lines: LogLine[];
  readonly #fields: object;

  constructor(lines: LogLine[] = [], fields: object = {}) {
    this.lines = lines;
    this.#fields = fields;
  }

  debug(fields: object, text: string): void {
    this.#keep('debug', fields, text);
  }

  info(fields: object, text: string): void {
    this.#keep('info', fields, text);
  }

  warn(fields: object, text: string): void {
    this.#keep('warn', fields, text);
  }

  error(fields: object, text: string): void {
    this.#keep('error', fields, text);
  }

  child(fields: object): Log {
    return new MemoryLog(this.lines, { ...this.#fields, ...fields });
  }

  #keep(level: LogLine['level'], fields: object, text: string): void {
    this.lines.push({ level, fields: { ...this.#fields, ...fields }, text });
  }
}
