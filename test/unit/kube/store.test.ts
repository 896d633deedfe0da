import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { compareResourceVersions } from '../../../operator/kube/resource-version.ts';
import { ObjectStore } from '../../../operator/kube/store.ts';
import type { KubeObject } from '../../../operator/ports.ts';

function anObject(name: string, resourceVersion: number, uid = `uid-${name}`, owner = 'x'): KubeObject {
  return {
    metadata: { name, namespace: 'n', uid, resourceVersion: String(resourceVersion), labels: { owner } },
  };
}

function aStore(...objects: KubeObject[]): ObjectStore {
  const store = new ObjectStore({ indexBy: (object) => object.metadata.labels?.['owner'] });
  store.replace(objects, '100');
  return store;
}

const namesOf = (objects: readonly KubeObject[]): string[] => objects.map(({ metadata }) => metadata.name);

test('resource versions compare as integers of any length', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 80n }), fc.bigInt({ min: 0n, max: 2n ** 80n }), (a, b) => {
      expect(Math.sign(compareResourceVersions(String(a), String(b)))).toBe(Number(a > b) - Number(a < b));
    }),
  );
  expect(compareResourceVersions(undefined, '1')).toBeLessThan(0);
});

describe('our own writes', () => {
  test('are seen at once and only replace what is older', () => {
    const store = aStore(anObject('a', 50));

    expect(store.put(anObject('a', 120))).toBe(true);
    expect(store.put(anObject('a', 110))).toBe(false);
    expect(store.put(anObject('new', 130))).toBe(true);

    expect(store.get('n', 'a')?.metadata.resourceVersion).toBe('120');
    expect(namesOf(store.list()).sort()).toEqual(['a', 'new']);
  });

  test('are not set back by the watch events that they caused', () => {
    const store = aStore(anObject('a', 50));
    store.put(anObject('a', 120));

    expect(store.observe(anObject('a', 110))).toBe(false);
    expect(store.get('n', 'a')?.metadata.resourceVersion).toBe('120');
    expect(store.observe(anObject('a', 130))).toBe(true);
  });

  test('stay the same objects when the watch brings them as well', () => {
    const store = aStore(anObject('a', 50));
    const own = anObject('a', 120);
    store.put(own);
    const told = store.byIndex('x');

    expect(store.observe(anObject('a', 120))).toBe(false);
    expect(store.get('n', 'a')).toBe(own);
    expect(store.byIndex('x')).toBe(told);
  });

  test('do not bring back an object whose deletion was seen', () => {
    const store = aStore(anObject('a', 50));
    store.remove(anObject('a', 130));

    expect(store.put(anObject('a', 120))).toBe(false);
    expect(store.put(anObject('a', 140))).toBe(false);
    expect(store.get('n', 'a')).toBeUndefined();
    expect(store.put(anObject('a', 150, 'another'))).toBe(true);
  });

  test('do not bring back an object that came and went before the store ever saw it', () => {
    const store = aStore();
    store.advance('200');

    expect(store.put(anObject('brief', 150))).toBe(false);
    expect(store.put(anObject('newer', 201))).toBe(true);
  });
});

describe('a list', () => {
  test('reports what is new, changed and gone, and nothing else', () => {
    const store = aStore(anObject('same', 10), anObject('changed', 20), anObject('gone', 30));

    const changes = store.replace(
      [anObject('same', 10), anObject('changed', 150), anObject('new', 160)],
      '200',
    );

    expect(changes.map(({ before, after }) => [before?.metadata.name, after?.metadata.name])).toEqual([
      ['gone', undefined],
      ['changed', 'changed'],
      [undefined, 'new'],
    ]);
    expect(namesOf(store.list()).sort()).toEqual(['changed', 'new', 'same']);
  });

  test('keeps what was written after it', () => {
    const store = aStore(anObject('a', 50));
    store.put(anObject('a', 210));
    store.put(anObject('b', 220));

    expect(store.replace([anObject('a', 50)], '200')).toEqual([]);
    expect(store.get('n', 'a')?.metadata.resourceVersion).toBe('210');
    expect(store.get('n', 'b')).toBeDefined();
  });

  test('tells an object that was deleted and made again as two', () => {
    const store = aStore(anObject('a', 50, 'first', 'x'));

    const changes = store.replace([anObject('a', 150, 'second', 'y')], '200');

    expect(changes.map(({ before, after }) => [before?.metadata.uid, after?.metadata.uid])).toEqual([
      ['first', undefined],
      [undefined, 'second'],
    ]);
    expect(store.put(anObject('a', 220, 'first'))).toBe(false);
    expect(store.byIndex('x')).toEqual([]);
  });

  test('counts alone when the history of the server was rewound', () => {
    const store = aStore(anObject('kept', 50), anObject('lost', 90));
    store.observe(anObject('kept', 95));

    store.replace([anObject('kept', 40)], '60');

    expect(store.list()).toEqual([anObject('kept', 40)]);
  });
});

test('a late deletion event does not remove the next object of that name', () => {
  const store = aStore(anObject('a', 50, 'first'));
  store.put(anObject('a', 150, 'second'));

  expect(store.remove(anObject('a', 140, 'first'))).toBe(false);
  expect(store.get('n', 'a')?.metadata.uid).toBe('second');
});

test('an index key tells the same array until one of its objects changes', () => {
  const store = aStore(anObject('a', 50, 'a', 'x'), anObject('b', 51, 'b', 'y'));
  const told = store.byIndex('x');
  store.observe(anObject('b', 110, 'b', 'y'));
  expect(store.byIndex('x')).toBe(told);
  store.observe(anObject('a', 111, 'a', 'x'));
  expect(store.byIndex('x')).toEqual([anObject('a', 111, 'a', 'x')]);
  store.remove(anObject('a', 112, 'a', 'x'));
  expect(store.byIndex('x')).toEqual([]);
});

test('an object that moves to another index key leaves the old one', () => {
  const store = aStore(anObject('a', 50, 'a', 'x'), anObject('b', 51, 'b', 'x'));
  store.observe(anObject('a', 110, 'a', 'y'));

  expect(namesOf(store.byIndex('x'))).toEqual(['b']);
  expect(namesOf(store.byIndex('y'))).toEqual(['a']);
  expect(store.byIndex('z')).toEqual([]);
});

/**
 * One object's life: each version is a write of ours and a watch event. Whatever the interleaving of answers and events,
 * once all events are in, the store holds the last state.
 */
test('after all events are in, late answers of our writes in any order change nothing', () => {
  const life = fc.array(fc.constantFrom('write', 'delete'), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(life, fc.infiniteStream(fc.nat()), (acts, picks) => {
      const store = aStore();
      const answers: KubeObject[] = [];
      let version = 100;
      let generation = 0;
      let last: KubeObject | undefined;
      for (const act of acts) {
        version += 1;
        if (act === 'write') {
          last = anObject('a', version, `uid-${generation}`);
          answers.push(last);
          store.observe(last);
        } else if (last !== undefined) {
          store.advance(String(version));
          store.remove(anObject('a', version, `uid-${generation}`));
          generation += 1;
          last = undefined;
        }
        const { value: pick = 0 } = picks.next();
        const late = answers[pick % (answers.length + 1)];
        if (late !== undefined) store.put(late);
        expect(store.get('n', 'a')).toEqual(last);
      }
    }),
  );
});
