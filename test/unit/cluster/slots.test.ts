import { mkdir, mkdtemp, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { ClusterSize, Slot } from '../../cluster/slots.ts';
import { claimSlot, isOrphan, listClusters, readRecord, writeRecord } from '../../cluster/slots.ts';
import type { Remains } from '../../cluster/teardown.ts';

/** Claims are compared with the age of directories, so this must be the real time. */
const NOW = Date.now();
const DEAD = { pid: 999_999_999, startTime: '1' };

let parent: string;
let state: string;

beforeEach(async () => {
  parent = await mkdtemp(path.join(tmpdir(), 'slots-'));
  state = path.join(parent, 'state');
});

/** The real removal would look for processes and links of a slot that a real cluster may hold. */
function claim(size: ClusterSize, nowMs: number): Promise<Slot> {
  const remove = ({ directory }: Remains) => rm(directory, { recursive: true });
  return claimSlot({ stateDirectory: state, size, nowMs, remove });
}

afterEach(() => rm(parent, { recursive: true, force: true }));

describe('slots', () => {
  test('claims made at the same time get different slots', async () => {
    const claims = await Promise.all(Array.from({ length: 5 }, () => claim('control-plane', NOW)));
    expect(new Set(claims.map(({ slot }) => slot)).size).toBe(5);
    expect(new Set(claims.map(({ directory }) => directory)).size).toBe(5);
  });

  test('a claim records who made it, when and for what', async () => {
    const { directory } = await claim('node', NOW);
    const record = await readRecord(directory);
    expect(record).toMatchObject({ size: 'node', createdAtMs: NOW, launcher: { pid: process.pid } });
    expect(record && isOrphan(record)).toBe(false);
  });

  test('the slot of a dead launcher and a dead janitor is reclaimed, its directory emptied', async () => {
    const first = await claim('control-plane', NOW);
    await mkdir(path.join(first.directory, 'etcd'));
    const record = await readRecord(first.directory);
    if (record === undefined) throw new Error('no record');
    await writeRecord(first.directory, { ...record, launcher: DEAD, janitor: DEAD });
    const second = await claim('control-plane', NOW);
    expect(second.slot).toBe(first.slot);
    await expect(mkdir(path.join(second.directory, 'etcd'))).resolves.toBeUndefined();
  });

  test('a cluster whose janitor still lives is not reclaimed', async () => {
    const first = await claim('control-plane', NOW);
    const record = await readRecord(first.directory);
    if (record === undefined) throw new Error('no record');
    await writeRecord(first.directory, { ...record, launcher: DEAD, janitor: record.launcher });
    const second = await claim('control-plane', NOW);
    expect(second.slot).not.toBe(first.slot);
  });

  test('a claim without a record counts for a minute', async () => {
    const first = await claim('control-plane', NOW);
    await rm(path.join(first.directory, 'cluster.json'));
    await utimes(first.directory, NOW / 1000, NOW / 1000);
    const soon = await claim('control-plane', NOW + 59_000);
    expect(soon.slot).not.toBe(first.slot);
    const later = await claim('control-plane', NOW + 61_000);
    expect(later.slot).toBe(first.slot);
  });

  test('lists the clusters that have a record, and nothing where there is no state directory', async () => {
    expect(await listClusters(state)).toEqual([]);
    const { directory, slot } = await claim('control-plane', NOW);
    await mkdir(path.join(state, 'bq31'));
    const listed = await listClusters(state);
    expect(listed.map((cluster) => [cluster.slot, cluster.directory])).toEqual([[slot, directory]]);
  });
});
