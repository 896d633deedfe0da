import type { ImageOptions } from './images.ts';

/** The two images of this repository, with the flags that their Dockerfiles give to Node. */
export const OPERATOR_IMAGE = {
  name: 'localhost/batchqueue-operator:dev',
  entry: 'operator/main.ts',
  nodeFlags: ['--disable-proto=delete'],
} as const satisfies ImageOptions;

export const WORKER_IMAGE = {
  name: 'localhost/batchqueue-worker:dev',
  entry: 'worker/main.ts',
  nodeFlags: ['--disable-proto=delete', '--max-old-space-size=64', '--max-semi-space-size=4'],
} as const satisfies ImageOptions;
