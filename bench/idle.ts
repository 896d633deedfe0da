/**
 * `npm run bench -- idle`: what a thousand BatchQueues cost that have nothing to do. The operator as in its image, one
 * process; control plane and SQS emulator beside it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { line, loadLine, rounded, writeJson } from './engine/figures.ts';
import { Operator } from './engine/operator.ts';
import { Stage } from './engine/stage.ts';

interface Size {
  readonly queues: number;
  /** After the last BatchQueue is ready, until nothing of its start is left. */
  readonly settleMs: number;
  readonly minutes: number;
}

const FULL: Size = { queues: 1_000, settleMs: 60_000, minutes: 3 };
/** For tests: everything once, and no figure worth anything. */
const SHORT: Size = { queues: 5, settleMs: 2_000, minutes: 0.1 };

const READY_TIMEOUT_MS = 300_000;
const WRITES = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);

/** Runs it; prints a table, writes JSON if asked to. */
export async function benchIdle(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { json: { type: 'string' }, short: { type: 'boolean', default: false } },
  });
  await Stage.use(async (stage) => {
    const figures = await measure(stage, values.short ? SHORT : FULL);
    print(figures);
    await writeJson(values.json, figures);
  });
}

type Figures = Awaited<ReturnType<typeof measure>>;

async function measure(stage: Stage, { queues, settleMs, minutes }: Size) {
  const names = Array.from({ length: queues }, (_, index) => `idle-${index}`);
  await stage.createQueues(names);
  const operator = await Operator.start(stage);
  await stage.createBatchQueues(names, {});
  await stage.whenReady(READY_TIMEOUT_MS);
  await sleep(settleMs);
  const before = await countAll(stage, operator);
  await sleep(minutes * 60_000);
  const after = await countAll(stage, operator);
  await operator.kill();
  const perMinute = (count: (counts: typeof before) => number) => (count(after) - count(before)) / minutes;
  return {
    queues,
    rssMiB: rounded(after.rssMiB),
    receivesPerQueuePerMinute: rounded(perMinute(({ receives }) => receives) / queues, 2),
    attributeReadsPerQueuePerMinute: rounded(perMinute(({ attributeReads }) => attributeReads) / queues, 2),
    triesOfRightsPerQueuePerMinute: rounded(perMinute(({ tries }) => tries) / queues, 2),
    kubernetesWritesPerMinute: rounded(
      perMinute(({ writes }) => writes),
      2,
    ),
    leaseWritesPerMinute: rounded(
      perMinute(({ leaseWrites }) => leaseWrites),
      2,
    ),
    cpuSecondsPerMinute: rounded(
      perMinute(({ cpuSeconds }) => cpuSeconds),
      2,
    ),
  };
}

async function countAll(stage: Stage, operator: Operator) {
  const sqs = Object.values(await stage.allSqsRequests());
  const sum = (operation: string) => sqs.reduce((total, counts) => total + (counts[operation] ?? 0), 0);
  const writes = Object.entries(await operator.requests()).filter(([kind]) =>
    WRITES.has(kind.split(' ')[0] ?? ''),
  );
  const total = (kinds: typeof writes) => kinds.reduce((all, [, count]) => all + count, 0);
  const isLease = ([kind]: (typeof writes)[number]) => kind.endsWith(' leases');
  return {
    ...(await operator.cost()),
    receives: sum('ReceiveMessage'),
    attributeReads: sum('GetQueueAttributes'),
    tries: sum('DeleteMessage') + sum('ChangeMessageVisibility'),
    writes: total(writes.filter((write) => !isLease(write))),
    leaseWrites: total(writes.filter(isLease)),
  };
}

function print(figures: Figures): void {
  const { queues, rssMiB, receivesPerQueuePerMinute, attributeReadsPerQueuePerMinute } = figures;
  loadLine();
  line(`${queues} idle BatchQueues`, `${rssMiB} MiB`, { text: '<= 300 MiB', met: rssMiB <= 300 });
  line('receives per queue and minute', String(receivesPerQueuePerMinute), {
    text: '<= 3',
    met: receivesPerQueuePerMinute <= 3,
  });
  line('attribute reads per queue and minute', String(attributeReadsPerQueuePerMinute), {
    text: '<= 1',
    met: attributeReadsPerQueuePerMinute <= 1,
  });
  line('tries of rights per queue and minute', String(figures.triesOfRightsPerQueuePerMinute));
  line(
    'Kubernetes writes per minute',
    `${figures.kubernetesWritesPerMinute}, and ${figures.leaseWritesPerMinute} of Leases`,
    {
      text: '= 0',
      met: figures.kubernetesWritesPerMinute === 0,
    },
  );
  line('CPU seconds per minute', String(figures.cpuSecondsPerMinute));
}
