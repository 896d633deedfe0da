import type { Invariant } from '../truth/view.ts';

export const payloadIsThere: Invariant = {
  id: 'I20',
  name: 'payload-is-there',
  sentence:
    'A Job comes into being with everything that its pods mount: what a worker is to read stands there before it.',
  watch: (world, broken) => ({
    unreadable: ({ metadata }) => broken(`${world.actor} made ${metadata.name} without its messages file`),
  }),
};
