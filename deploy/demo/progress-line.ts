import { stderr } from 'node:process';

/** One line that is rewritten in place on a terminal; elsewhere every change is a line of its own. */
export class ProgressLine {
  #last = '';

  readonly show = (line: string): void => {
    // The leading time moves with every look; what follows is what changed.
    const change = line.replace(/^\s*\d+ s/, '');
    if (stderr.isTTY) stderr.write(`\r\x1b[K${line}`);
    else if (change !== this.#last) stderr.write(`${line}\n`);
    this.#last = change;
  };

  /** Leaves the last state standing. */
  end(): void {
    if (stderr.isTTY) stderr.write('\n');
  }
}
