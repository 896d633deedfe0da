/** The factors: uniform in [0.8, 1.2), a fixed sequence per seed, so that a retry writes the same bytes. */
import { createHash } from 'node:crypto';

/** Draws the next factor; the n-th call gives the same number for the same seed on every machine. */
export type Factors = () => number;

/**
 * The sequence of a seed: sfc32 (public domain, passes PractRand) started from the SHA-256 of the seed. Part of the
 * contract: changing it changes the output of messages that are retried across a worker upgrade.
 */
export function factorsFrom(seed: string): Factors {
  const words = wordsFrom(seed);
  // 8 + 4u is exact for 32 random bits, so one rounded division keeps the quotient in [0.8, 1.2); 0.8 + 0.4u does not.
  return () => (8 + (4 * words()) / 2 ** 32) / 10;
}

/** The sequence of a seed as numbers uniform in [0, 1), for own transforms. */
export function uniformsFrom(seed: string): () => number {
  const words = wordsFrom(seed);
  return () => words() / 2 ** 32;
}

/** What a seed begins with: four words, from which the kernel draws the same factors (`kernel/assembly/factors.ts`). */
export function wordsOf(seed: string): [number, number, number, number] {
  const digest = createHash('sha256').update(seed, 'utf8').digest();
  return [digest.readInt32LE(0), digest.readInt32LE(4), digest.readInt32LE(8), digest.readInt32LE(12)];
}

/** 32 random bits at each call. */
function wordsFrom(seed: string): () => number {
  let [a, b, c, counter] = wordsOf(seed);
  return () => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    c |= 0;
    return sum >>> 0;
  };
}
