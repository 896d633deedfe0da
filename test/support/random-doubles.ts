/** Doubles of every kind on which shortest digits are hard. */
import { uniformsFrom } from '../../worker/factors.ts';

/** `count` finite doubles: any bits, products as the worker makes them, decimals, near halves, near powers of two and ten. */
export function* randomDoubles(count: number, seed: string): Generator<number> {
  const random = uniformsFrom(seed);
  const bits = new DataView(new ArrayBuffer(8));
  const below = (limit: number) => Math.floor(random() * limit);
  const kinds = [
    () => {
      bits.setUint32(0, below(2 ** 32));
      bits.setUint32(4, below(2 ** 32));
      return bits.getFloat64(0);
    },
    () => (below(100_000) / 100) * (0.8 + 0.4 * random()),
    () => (below(1e9) / 10 ** below(9)) * (0.8 + 0.4 * random()),
    () => below(10 ** (1 + below(17))) / 10 ** below(20),
    () => (1 + random()) * 2 ** (below(64) - 14),
    () => neighbour(2 ** (below(70) - 17), below(7) - 3),
    () => neighbour(10 ** (below(22) - 5), below(7) - 3),
    () => neighbour(below(2 ** 20) / 2 ** below(20), below(3) - 1),
    () => Number(`${below(10 ** 8)}.${below(10 ** 8)}5`),
  ];
  for (let index = 0; index < count; index += 1) {
    const size = kinds[index % kinds.length]?.() ?? 0;
    if (Number.isFinite(size)) yield random() < 0.5 ? size : -size;
  }

  /** The double so many steps away. */
  function neighbour(number: number, steps: number): number {
    bits.setFloat64(0, number);
    bits.setBigInt64(0, bits.getBigInt64(0) + BigInt(steps));
    return bits.getFloat64(0);
  }
}
