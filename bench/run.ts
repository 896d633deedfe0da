/** One measured run of a program. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

export interface Measured {
  readonly seconds: number;
  /** Processor time of all its threads, in user and kernel: what a busy machine changes least. */
  readonly cpuSeconds: number;
  /** The most memory the process had at any time. */
  readonly peakMiB: number;
}

/** Wrapped in a Python of its own, because only a parent is told the peak memory of its child by the kernel. */
const WRAPPER = `
import resource, subprocess, sys, time
start = time.monotonic()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
seconds = time.monotonic() - start
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, done.returncode)
`;

/** Runs the command from start to exit; throws when it fails. */
export async function measure(command: readonly string[]): Promise<Measured> {
  const child = spawn('python3', ['-c', WRAPPER, ...command], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [output] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  const [seconds = Number.NaN, cpuSeconds = Number.NaN, peakMiB = Number.NaN, code] = output
    .split(' ')
    .map(Number);
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}`);
  return { seconds, cpuSeconds, peakMiB };
}

/** The middle one; of an even number the mean of the two middle ones. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((left, right) => left - right);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? Number.NaN) + (sorted[Math.floor(middle)] ?? Number.NaN)) / 2;
}
