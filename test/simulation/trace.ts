import type { Log } from '../../operator/ports.ts';

const nothing = (): void => undefined;

/** An operator's log as lines; without a place for them it costs nothing. */
export function traceLog(write: ((line: string) => void) | undefined): Log {
  if (!write) {
    const silent: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing, child: () => silent };
    return silent;
  }
  const log: Log = {
    debug: nothing,
    info: (fields, text) => write(`${text} ${JSON.stringify(fields)}`),
    warn: (fields, text) => write(`WARN ${text} ${JSON.stringify(fields)}`),
    error: (fields, text) => write(`ERROR ${text} ${JSON.stringify(fields)}`),
    child: () => log,
  };
  return log;
}
