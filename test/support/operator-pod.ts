import { readdir, readFile } from 'node:fs/promises';

/**
 * The operator's process in its pod, as this machine sees it: the one program of an image that talks to this SQS
 * endpoint. Undefined while there is none (the container is being restarted).
 */
export async function operatorProcess(endpoint: string): Promise<number | undefined> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  for (const id of ids) {
    // A process may end while it is looked at.
    const [command, environment] = await Promise.all([
      readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => ''),
      readFile(`/proc/${id}/environ`, 'utf8').catch(() => ''),
    ]);
    const isOurs = environment.split('\0').includes(`BATCHQUEUE_SQS_ENDPOINT=${endpoint}`);
    if (isOurs && command.includes('/app/main.mjs')) return id;
  }
  return undefined;
}
