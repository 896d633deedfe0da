/** The operator on a machine whose clock is put forward by each SIGUSR2: by a bit more than half of what the credentials of a role last. */
const STEP_MS = 31 * 60_000;

const now = Date.now.bind(Date);
let aheadMs = 0;
Date.now = () => now() + aheadMs;
process.on('SIGUSR2', () => {
  aheadMs += STEP_MS;
});

await import('../../operator/main.ts');
