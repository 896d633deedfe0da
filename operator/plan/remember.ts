/**
 * The same function, which does its work once per object and forgets the result with it. For pure functions of objects
 * that never change, as those of the caches: they are replaced, never edited. A turn looks at a thousand Jobs of which
 * a few are new, and reading one (its ledger above all) takes a hundred times as long as finding it here.
 */
export function remember<K extends WeakKey, V>(make: (object: K) => V): (object: K) => V {
  const made = new WeakMap<K, { readonly value: V }>();
  return (object) => {
    const known = made.get(object);
    if (known) return known.value;
    const value = make(object);
    made.set(object, { value });
    return value;
  };
}
