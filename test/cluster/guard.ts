/** The launcher's side of the janitor. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ProcessIdentity } from './process-table.ts';
import { identityOf } from './process-table.ts';
import type { Slot } from './slots.ts';
import { unrefStream } from './streams.ts';

/** A janitor on duty. */
export interface Guard {
  readonly janitor: ProcessIdentity;
  /** Settles when the janitor has ended, for whatever reason. */
  readonly ended: Promise<void>;
  /** Has the cluster taken down and returns when nothing is left of it. Throws with the reason when something is. */
  dismiss(): Promise<void>;
}

/**
 * Starts the janitor of a slot. From here on the cluster ends with this process. The janitor does not keep this
 * process alive: a program that just ends takes its cluster along.
 */
export function postGuard(slot: Slot): Guard {
  const script = fileURLToPath(new URL('./janitor.ts', import.meta.url));
  const child = spawn(process.execPath, [script, String(slot.slot), slot.directory], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const janitor = child.pid === undefined ? undefined : identityOf(child.pid);
  if (janitor === undefined) throw new Error('cannot start the janitor process');
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  child.unref();
  unrefStream(child.stdin);
  return {
    janitor,
    ended,
    async dismiss() {
      child.ref();
      child.stdin.destroy();
      await ended;
      const reason = await readFile(path.join(slot.directory, 'teardown-error'), 'utf8').catch(
        () => undefined,
      );
      if (reason !== undefined) throw new Error(`the cluster could not be removed: ${reason}`);
    },
  };
}
