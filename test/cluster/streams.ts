import { Socket } from 'node:net';

/**
 * Lets the process end although this pipe to a child is open. Node types such pipes as plain streams; they are
 * sockets, and only those can be left out of the event loop.
 */
export function unrefStream(stream: unknown): void {
  if (!(stream instanceof Socket)) throw new TypeError('not a pipe to a child process');
  stream.unref();
}
