import type { Invariant } from '../truth/view.ts';

export const deleteOnlyAfterSuccess: Invariant = {
  id: 'I2',
  name: 'delete-only-after-success',
  sentence:
    'A message is deleted only after a Job with it succeeded (which a result that can be read may deny), its index completed, a readable result named it or the pod of a Job that is being deleted had done it, or after the dead-letter queue confirmed a copy.',
  watch: (world, broken) => ({
    deleted: ({ id, copies }) => {
      if (!world.book.mayBeDeleted(id) && copies.length === 0)
        broken(`${world.actor} deleted message ${id} without success`);
    },
  }),
};
