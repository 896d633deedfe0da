import { loadConfig, type OperatorConfig } from './config.ts';
import { messageOf } from './errors.ts';
import { EventRecorder } from './kube/events.ts';
import { RestClient } from './kube/rest-client.ts';
import { createTransport, loadKubeConfig } from './kube/transport.ts';
import { WatchedCaches } from './kube/watched-caches.ts';
import { Controller, ownerKey } from './loops/controller.ts';
import type { Log } from './ports.ts';
import { HealthServer } from './process/health-server.ts';
import { createLog } from './process/log.ts';
import { systemClock } from './process/system-clock.ts';
import { SqsClients } from './sqs/sqs-clients.ts';
import { SqsMessageQueue } from './sqs/sqs-message-queue.ts';

/**
 * The operator, in the order a message takes:
 *
 *   SQS ─receive─► intake ─inbox─► reconciler ─plan─► Job ─► pod ─► Job finished ─► reconciler ─settle─► SQS
 *                     └──────────► heartbeat ─renews the lease until then─────────────┘
 *
 * Three loops with three narrow rights: intake may only receive, the heartbeat may only renew, the reconciler creates,
 * adopts, settles and writes status. Jobs are the ledger: this process may end at any moment and lose nothing.
 */

/** Exit codes as in `sysexits.h`. */
const EX_USAGE = 64;
const EX_SOFTWARE = 70;

/** A poll ends within 20 s, and what it brings is a Job soon after; Kubernetes kills the pod at 60 s. */
const DRAIN_DEADLINE_MS = 40_000;
/** A watch that has heard nothing for this long, not even bookmarks, in milliseconds. */
const STALE_MS = 300_000;

async function main(): Promise<void> {
  const loaded = loadConfig(process.argv.slice(2), process.env);
  if (loaded.ok === 'help') {
    process.stdout.write(loaded.text);
    return;
  }
  if (!loaded.ok) {
    process.stderr.write(`${loaded.problems.join('\n')}\nSee --help.\n`);
    process.exitCode = EX_USAGE;
    return;
  }
  const log = createLog(loaded.config.logLevel);
  const crash = (error: unknown) => {
    log.error(
      { error: messageOf(error), stack: error instanceof Error ? error.stack : undefined },
      'stopped by an error',
    );
    // Nothing that matters is in this process; a fresh one continues from the Jobs.
    process.exit(EX_SOFTWARE);
  };
  process.once('uncaughtException', crash);
  process.once('unhandledRejection', crash);
  await run(loaded.config, log);
}

async function run(config: OperatorConfig, log: Log): Promise<void> {
  const clock = systemClock;
  const random = Math.random;

  // 1. The two sides: Kubernetes …
  const transport = createTransport(
    loadKubeConfig(config.kubeconfig ? { kubeconfigPath: config.kubeconfig } : {}),
  );
  const kube = new RestClient(transport);
  const caches = new WatchedCaches({
    client: kube,
    namespaces: config.namespaces,
    clock,
    random,
    log,
    ownerKey,
  });
  const events = new EventRecorder({ client: kube, clock, log });

  // … and SQS.
  const sqs = new SqsClients({
    endpoint: config.sqsEndpoint,
    allowedHosts: config.allowedQueueHosts,
    defaultRegion: config.awsRegion,
  });
  const queue = new SqsMessageQueue(sqs, clock);

  // 2. What connects them. This is where a leader election will stand: only its holder may start the controller.
  const controller = new Controller({ world: { kube, queue, events, clock, log, caches }, random });

  // 3. Start: watch, and decide nothing before everything has been seen once.
  let stopping = false;
  const health = new HealthServer({
    address: config.healthAddress,
    port: config.healthPort,
    // Answering is being alive. Whether the API server answers must not matter here: a restart while it is away would
    // lose the leases that the heartbeat keeps without it.
    live: {},
    ready: {
      synced: () => (caches.hasSynced() ? undefined : 'the first lists are not complete'),
      watches: () =>
        caches.staleForMs() > STALE_MS ? 'the API server has not been heard for minutes' : undefined,
      running: () => (stopping ? 'shutting down' : undefined),
    },
  });
  const healthPort = await health.start();
  const stopSignal = untilSignalled();
  caches.start(controller);
  log.info({ healthPort, namespaces: config.namespaces, sqsEndpoint: config.sqsEndpoint }, 'started');
  const synced = await Promise.race([caches.whenSynced().then(() => true), stopSignal.then(() => false)]);
  if (synced) {
    log.info(
      { batchQueues: caches.batchQueues.list().length, jobs: caches.jobs.list().length },
      'caches synced',
    );
    controller.start();
    const signal = await stopSignal;
    log.info({ signal }, 'draining: no further polls; what the last ones bring still becomes jobs');
    stopping = true;
    await controller.drain(DRAIN_DEADLINE_MS);
  }

  // 4. Stop, in the reverse order.
  await events.flush();
  await caches.stop();
  await health.stop();
  sqs.destroy();
  await transport.close();
  log.info({}, 'stopped');
}

/** Resolves with the first SIGTERM or SIGINT; a second one ends the process as it always would. */
function untilSignalled(): Promise<string> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve('SIGTERM'));
    process.once('SIGINT', () => resolve('SIGINT'));
  });
}

await main();
