import { describe, expect, test } from '@jest/globals';
import { OperatorError } from '../../../operator/errors.ts';
import { Reflector } from '../../../operator/kube/reflector.ts';
import type { ObjectStore } from '../../../operator/kube/store.ts';
import type { KubeObject } from '../../../operator/ports.ts';
import { MemoryLog } from '../../support/logs.ts';
import { anItem, aPage, type OpenedWatch, ScriptedCollection } from '../../support/scripted-collection.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const RESOURCE = { group: 'batch', version: 'v1', plural: 'jobs' };
const RESET = new OperatorError({ code: 'Unavailable', verdict: 'retry', message: 'reset' });
const GONE = new OperatorError({ code: 'Gone', verdict: 'retry', message: 'too old' });

interface Bench {
  readonly clock: VirtualClock;
  readonly log: MemoryLog;
  readonly server: ScriptedCollection;
  readonly reflector: Reflector;
  /** `name@resourceVersion` of every reported object. */
  readonly changes: string[];
  /** The watch opened last. */
  watch(): OpenedWatch;
}

async function aBench(
  server: ScriptedCollection,
  onChange?: (object: KubeObject, store: ObjectStore) => void,
): Promise<Bench> {
  const clock = new VirtualClock();
  const log = new MemoryLog();
  const changes: string[] = [];
  const reflector = new Reflector({
    client: server,
    resource: RESOURCE,
    namespace: 'n',
    clock,
    log,
    // The upper end of every jitter.
    random: () => 1,
    onChange: (object) => {
      changes.push(`${object.metadata.name}@${object.metadata.resourceVersion}`);
      onChange?.(object, reflector.store);
    },
  });
  reflector.start();
  await clock.settle();
  const watch = (): OpenedWatch => {
    const last = server.watches.at(-1);
    if (last === undefined) throw new Error('no watch is open');
    return last;
  };
  return { clock, log, server, reflector, changes, watch };
}

function added(name: string, resourceVersion: number, uid?: string) {
  return { type: 'ADDED', object: anItem(name, resourceVersion, uid) } as const;
}

describe('the first list', () => {
  test('is read to its last page before anything is said to be known', async () => {
    const first = { ...aPage(100, anItem('a', 10)), continue: 'more' };
    const bench = await aBench(new ScriptedCollection(first, aPage(100, anItem('b', 20))));

    expect(bench.server.lists).toMatchObject([{ limit: 500 }, { limit: 500, continue: 'more' }]);
    expect(bench.changes).toEqual(['a@10', 'b@20']);
    expect(bench.reflector.hasSynced()).toBe(true);
    expect(bench.watch().options).toMatchObject({
      resourceVersion: '100',
      allowWatchBookmarks: true,
      timeoutSeconds: 600,
    });
    await bench.reflector.whenSynced();
    await bench.reflector.stop();
  });

  test('is read in one piece when its snapshot expires between two pages', async () => {
    const first = { ...aPage(100, anItem('a', 10)), continue: 'more' };
    const bench = await aBench(
      new ScriptedCollection(first, GONE, aPage(110, anItem('a', 10), anItem('b', 105))),
    );

    expect(bench.server.lists.at(-1)?.limit).toBeUndefined();
    expect(bench.changes).toEqual(['a@10', 'b@105']);
    expect(bench.reflector.restarts()).toBe(0);
    await bench.reflector.stop();
  });

  test('is tried again with a growing pause, and nothing is known until it comes', async () => {
    const bench = await aBench(new ScriptedCollection(RESET, RESET, RESET, aPage(100)));
    expect(bench.clock.nextInMs()).toBe(800);
    await bench.clock.advance(800);
    expect(bench.clock.nextInMs()).toBe(1600);
    await bench.clock.advance(1600);
    expect(bench.reflector.hasSynced()).toBe(false);
    await bench.clock.advance(3200);

    expect(bench.reflector.hasSynced()).toBe(true);
    expect(bench.reflector.restarts()).toBe(3);
    await bench.reflector.stop();
  });
});

describe('a watch', () => {
  test('brings changes into the store before they are reported', async () => {
    const stored: (string | undefined)[] = [];
    const bench = await aBench(new ScriptedCollection(aPage(100, anItem('a', 10))), ({ metadata }, store) => {
      stored.push(store.get('n', metadata.name)?.metadata.resourceVersion);
    });
    bench.watch().send({ type: 'MODIFIED', object: anItem('a', 110) });
    bench.watch().send({ type: 'DELETED', object: anItem('a', 120) });
    await bench.clock.settle();

    expect(stored).toEqual(['10', '110', undefined]);
    await bench.reflector.stop();
  });

  test('that the server ends by plan goes on at once from the last bookmark', async () => {
    const bench = await aBench(new ScriptedCollection(aPage(100)));
    await bench.clock.advance(60_000);
    bench.watch().send({ type: 'BOOKMARK', resourceVersion: '150' });
    await bench.clock.advance(60_000);
    bench.watch().end();
    await bench.clock.settle();

    expect(bench.server.watches).toHaveLength(2);
    expect(bench.watch().options.resourceVersion).toBe('150');
    expect(bench.server.lists).toHaveLength(1);
    expect(bench.reflector.restarts()).toBe(0);
    await bench.reflector.stop();
  });

  test('that the server ends at once every time is not asked for in a loop', async () => {
    const bench = await aBench(new ScriptedCollection(aPage(100)));
    for (const pauseMs of [800, 1600, 3200]) {
      bench.watch().end();
      await bench.clock.settle();
      expect(bench.clock.nextInMs()).toBe(pauseMs);
      await bench.clock.advance(pauseMs);
    }
    expect(bench.server.watches).toHaveLength(4);
    await bench.reflector.stop();
  });

  test('that breaks is opened again with a backoff that starts anew after a good one', async () => {
    const bench = await aBench(new ScriptedCollection(aPage(100)));
    for (const pauseMs of [800, 1600]) {
      bench.watch().fail(RESET);
      await bench.clock.settle();
      expect(bench.clock.nextInMs()).toBe(pauseMs);
      await bench.clock.advance(pauseMs);
    }
    await bench.clock.advance(10_000);
    bench.watch().fail(RESET);
    await bench.clock.settle();

    expect(bench.clock.nextInMs()).toBe(800);
    expect(bench.server.lists).toHaveLength(1);
    expect(bench.reflector.restarts()).toBe(3);
    await bench.reflector.stop();
  });

  test('that never stops failing leads to a list after five attempts, with pauses of 30 s at most', async () => {
    const bench = await aBench(new ScriptedCollection(aPage(100)));
    for (let attempt = 1; attempt <= 4; attempt += 1) {
      bench.watch().fail(RESET);
      await bench.clock.advance(30_000);
    }
    expect(bench.server.lists).toHaveLength(1);
    bench.watch().fail(RESET);
    await bench.clock.advance(30_000);

    expect(bench.server.lists).toHaveLength(2);
    await bench.reflector.stop();
  });

  test('from a time that is gone leads to a list, whose findings are reported, vanished objects too', async () => {
    const before = aPage(100, anItem('same', 10), anItem('gone', 20), anItem('reborn', 30, 'first'));
    const after = aPage(200, anItem('same', 10), anItem('new', 150), anItem('reborn', 160, 'second'));
    const bench = await aBench(new ScriptedCollection(before, after));
    bench.changes.length = 0;
    bench.watch().fail(GONE);
    await bench.clock.advance(800);

    expect(bench.changes).toEqual(['gone@20', 'new@150', 'reborn@30', 'reborn@160']);
    expect(bench.watch().options.resourceVersion).toBe('200');
    await bench.reflector.stop();
  });

  test('from a time that is gone keeps what is known while the list fails', async () => {
    const bench = await aBench(new ScriptedCollection(aPage(100, anItem('a', 10)), RESET));
    bench.watch().fail(GONE);
    await bench.clock.advance(600_000);

    expect(bench.reflector.store.size).toBe(1);
    expect(bench.changes).toEqual(['a@10']);
    await bench.reflector.stop();
  });

  test('that is silent for two minutes is given up, and what it still brings is dropped', async () => {
    const bench = await aBench(new ScriptedCollection(aPage(100)));
    const silent = bench.watch();
    silent.send({ type: 'OPENED' });
    await bench.clock.advance(100_000);
    silent.send({ type: 'BOOKMARK', resourceVersion: '150' });
    await bench.clock.advance(119_000);
    expect(bench.server.watches).toHaveLength(1);
    expect(bench.reflector.staleForMs()).toBe(119_000);
    await bench.clock.advance(1800);
    expect(bench.server.watches).toHaveLength(2);
    expect(silent.signal.aborted).toBe(true);

    silent.send(added('late', 160));
    bench.watch().send({ type: 'OPENED' });
    await bench.clock.settle();

    expect(bench.changes).toEqual([]);
    expect(bench.reflector.staleForMs()).toBe(0);
    expect(bench.log.lines).toMatchObject([{ level: 'warn', fields: { code: 'WatchSilent' } }]);
    await bench.reflector.stop();
  });

  test('that is silent twice in a row leads to a list: perhaps no watch comes through any more', async () => {
    const bench = await aBench(new ScriptedCollection(aPage(100), aPage(200, anItem('missed', 150))));
    bench.watch().send({ type: 'OPENED' });
    await bench.clock.advance(121_000);
    bench.watch().send({ type: 'OPENED' });
    await bench.clock.advance(100_000);
    expect(bench.server.lists).toHaveLength(1);
    await bench.clock.advance(22_000);

    expect(bench.server.lists).toHaveLength(2);
    expect(bench.changes).toEqual(['missed@150']);
    await bench.reflector.stop();
  });

  test('goes on when taking a change throws', async () => {
    const bench = await aBench(new ScriptedCollection(aPage(100)), ({ metadata }) => {
      if (metadata.name === 'bad') throw new Error('cannot take it');
    });
    bench.watch().send(added('bad', 110));
    bench.watch().send(added('good', 120));
    await bench.clock.settle();

    expect(bench.changes).toEqual(['bad@110', 'good@120']);
    expect(bench.server.watches).toHaveLength(1);
    expect(bench.log.lines).toMatchObject([
      { level: 'error', fields: { name: 'bad', error: 'cannot take it' } },
    ]);
    await bench.reflector.stop();
  });
});

describe('stop', () => {
  test('ends a watch that listens to nobody, and leaves no timer', async () => {
    const bench = await aBench(new ScriptedCollection(aPage(100)));
    const { length } = bench.server.watches;
    bench.watch().send(added('too-late', 110));
    await bench.reflector.stop();
    await bench.clock.advance(600_000);

    expect(bench.changes).toEqual([]);
    expect(bench.clock.pending()).toBe(0);
    expect(bench.server.watches).toHaveLength(length);
    expect(bench.watch().signal.aborted).toBe(true);
  });

  test('ends a pause, and no start follows it', async () => {
    const bench = await aBench(new ScriptedCollection(RESET));
    expect(bench.clock.pending()).toBe(1);
    await bench.reflector.stop();
    bench.reflector.start();
    await bench.clock.settle();

    expect(bench.clock.pending()).toBe(0);
    expect(bench.server.lists).toHaveLength(1);
    await expect(bench.reflector.whenSynced()).rejects.toMatchObject({ code: 'Stopped' });
  });
});
