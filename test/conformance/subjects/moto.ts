import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { eventually } from '../../support/eventually.ts';
import type { Subject } from '../subject.ts';
import { EMULATOR, freePort, HOST, useAnyCredentials } from './emulators.ts';
import { endpointSubject } from './endpoint.ts';

const START_MS = 20_000;

/** Why moto cannot be started here; undefined when it can. It is a Python program that this project does not install. */
export function motoMissing(): string | undefined {
  const { status, error } = spawnSync('python3', ['-c', 'import moto.server'], { stdio: 'ignore' });
  if (error) return 'there is no python3';
  return status === 0 ? undefined : 'python3 has no moto[server]';
}

/** A third emulator of SQS. */
export async function startMoto(): Promise<Subject> {
  useAnyCredentials();
  return endpointSubject({ ...EMULATOR, name: 'moto', ...(await startMotoServer()) });
}

/** moto, which speaks for many services, as a process of its own. */
export async function startMotoServer(): Promise<{ endpoint: string; stop: () => Promise<void> }> {
  const port = await freePort();
  const endpoint = `http://${HOST}:${port}`;
  const child = spawn('python3', ['-m', 'moto.server', '-H', HOST, '-p', String(port)], { stdio: 'ignore' });
  const stop = () => end(child);
  try {
    const answered = async () => (await fetch(`${endpoint}/moto-api/data.json`)).ok;
    await eventually(answered, (ok) => ok, { what: 'an answer of moto', timeoutMs: START_MS });
  } catch (error) {
    await stop();
    throw error;
  }
  return { endpoint, stop };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
