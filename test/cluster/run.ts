/** One-shot commands. */
import { spawn } from 'node:child_process';

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Called with every line that the command prints on either stream. */
  readonly onLine?: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** How much of a failing command's output its error quotes, in characters. */
const QUOTED_OUTPUT = 2_000;

/**
 * Runs a command without a shell and returns what it printed on stdout. Throws when it cannot be started or does not
 * exit with 0; the error quotes the end of its output. Aborting kills it.
 */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { onLine, ...spawnOptions } = options;
  const child = spawn(command, args, {
    ...spawnOptions,
    stdio: ['ignore', 'pipe', 'pipe'],
    killSignal: 'SIGKILL',
  });
  const output = { stdout: '', all: '', partial: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
    take(text);
  });
  child.stderr.setEncoding('utf8').on('data', take);
  const ended = await new Promise<number | string | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? signal));
  });
  if (ended !== 0)
    throw new Error(
      `${[command, ...args].join(' ')} failed (${ended}):\n${output.all.slice(-QUOTED_OUTPUT)}`,
    );
  return output.stdout;

  function take(text: string): void {
    output.all = (output.all + text).slice(-2 * QUOTED_OUTPUT);
    if (onLine === undefined) return;
    const lines = (output.partial + text).split('\n');
    output.partial = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  }
}
