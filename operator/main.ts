import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { KubeConfig } from '@kubernetes/client-node';
import { EcrRegistry } from './aws/ecr-registry.ts';
import { Identities } from './aws/identities.ts';
import { ownCredentials } from './aws/own-credentials.ts';
import { WebIdentity } from './aws/web-identity.ts';
import { loadConfig, type OperatorConfig } from './config.ts';
import { messageOf } from './errors.ts';
import { EventRecorder } from './kube/events.ts';
import { LeaderElector } from './kube/leader-elector.ts';
import { RestClient } from './kube/rest-client.ts';
import { createTransport, loadKubeConfig } from './kube/transport.ts';
import { WatchedCaches } from './kube/watched-caches.ts';
import { storageCheck } from './loops/checking-storage.ts';
import { ClusterNodes } from './loops/cluster-nodes.ts';
import { Controller, ownerKey } from './loops/controller.ts';
import { ImageResolver } from './loops/image-resolver.ts';
import { PullSecretKeeper } from './loops/pull-secret-keeper.ts';
import { serviceAccountCheck } from './loops/service-account-check.ts';
import type { Log } from './ports.ts';
import { EventLoopLag } from './process/event-loop-lag.ts';
import { HealthServer } from './process/health-server.ts';
import { createLog } from './process/log.ts';
import { Prometheus } from './process/prometheus.ts';
import { monotonicClock, systemClock } from './process/system-clock.ts';
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
 *
 * Of several processes one leads; the others watch, so that any of them can go on at once. Every effect passes the
 * leader's fence.
 */

/** Exit codes as in `sysexits.h`. */
const EX_USAGE = 64;
const EX_SOFTWARE = 70;
const EX_TEMPFAIL = 75;

/** A poll ends within 20 s, and what it brings is a Job soon after; Kubernetes kills the pod at 60 s. */
const DRAIN_DEADLINE_MS = 40_000;
/** The elector has its own: for a watch and for calls that find the first connection dead. */
const ELECTOR_CONNECTIONS = 4;
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

/** Every part, and who talks to whom; nothing moves yet. */
function wire(config: OperatorConfig, log: Log) {
  const clock = systemClock;
  const random = Math.random;
  const kubeConfig = loadKubeConfig(config.kubeconfig ? { kubeconfigPath: config.kubeconfig } : {});

  // 1. Who acts. The elector has a way to the API server of its own, so that nothing can hold up a renewal, and is asked
  // whenever something is about to be sent.
  const electorTransport = createTransport(kubeConfig, { connections: ELECTOR_CONNECTIONS });
  const elector = config.leaderElect
    ? new LeaderElector({
        client: new RestClient(electorTransport),
        namespace: leaseNamespace(config, kubeConfig),
        name: config.leaseName,
        identity: `${hostname()}_${randomUUID()}`,
        timings: config,
        monotonic: monotonicClock,
        clock,
        random,
        log,
        onLead: () => {
          controller.start();
          controller.resume();
        },
        onFenced: () => controller.pause(),
        // Another process has everything that matters; what is known here is of the past.
        onLost: () => process.exit(EX_TEMPFAIL),
      })
    : undefined;

  // 2. The two sides: Kubernetes …
  const transport = createTransport(kubeConfig);
  const kube = new RestClient(transport, elector);
  const { namespaces } = config;
  const caches = new WatchedCaches({ client: kube, namespaces, clock, random, log, ownerKey });
  const events = new EventRecorder({ client: kube, clock, log });

  // … and SQS.
  const aws = wireAws(config, { kube, elector, log });

  // 3. What connects them, and what shows how it goes.
  const lag = new EventLoopLag(clock, log);
  const metrics = new Prometheus({
    leaseName: config.leaseName,
    isLeading: () => elector?.isLeading() ?? true,
    lag: () => lag.read(),
  });
  // What is looked at before the first message of a BatchQueue is received.
  const { identities, registry } = aws;
  const nodes = new ClusterNodes({ kube, clock, log });
  const checks = [
    serviceAccountCheck(identities),
    storageCheck({ kube, clock }),
    new ImageResolver({ registry, nodes }),
    new PullSecretKeeper({ kube, registry, nodes, pods: caches.pods, clock }),
  ];
  const world = { kube, queue: aws.queue, fence: elector, events, checks, clock, log, caches };
  const controller = new Controller({ world, random, metrics });
  return { elector, electorTransport, transport, caches, events, aws, lag, metrics, controller };
}

interface AwsParts {
  readonly kube: RestClient;
  readonly elector: LeaderElector | undefined;
  readonly log: Log;
}

/** In whose name queues are read, and the way to them. */
function wireAws(config: OperatorConfig, { kube, elector, log }: AwsParts) {
  const { sqsEndpoint: endpoint, allowedQueueHosts: allowedHosts, awsRegion: defaultRegion } = config;
  const { operatorIdentityNamespaces: namespaces, operatorIdentityQueues: queues } = config;
  const clock = systemClock;
  const sts = new WebIdentity(config.stsEndpoint);
  const identities = new Identities({
    grants: { namespaces, queues, defaultRegion },
    narrow: config.narrowSessions,
    own: ownCredentials(defaultRegion),
    api: kube,
    sts,
    clock,
    random: Math.random,
    log,
  });
  const hosts = { endpoint, allowedHosts, defaultRegion };
  const sqs = new SqsClients({ hosts, identities, clock, fence: elector });
  const registry = new EcrRegistry({ identities, endpoint: config.ecrEndpoint });
  const close = () => {
    sqs.destroy();
    registry.destroy();
    identities.close();
    sts.destroy();
  };
  return { identities, registry, queue: new SqsMessageQueue(sqs, clock), close };
}

async function run(config: OperatorConfig, log: Log): Promise<void> {
  const { elector, controller, caches, metrics, ...parts } = wire(config, log);

  // 4. Start: watch, and decide nothing before everything has been seen once.
  const state = { stopping: false };
  const health = new HealthServer({
    address: config.healthAddress,
    port: config.healthPort,
    metrics,
    // Answering is being alive. Whether the API server answers must not matter here: a restart while it is away would
    // lose the leases that the heartbeat keeps without it.
    live: {},
    ready: readiness(caches, state),
  });
  const healthPort = await health.start();
  parts.lag.start();
  const stopSignal = untilSignalled();
  elector?.start();
  caches.start(controller);
  const { namespaces, sqsEndpoint, stsEndpoint, leaderElect } = config;
  log.info({ healthPort, namespaces, sqsEndpoint, stsEndpoint, leaderElect }, 'started');
  if (await Promise.race([caches.whenSynced().then(() => true), stopSignal.then(() => false)])) {
    const counts = { batchQueues: caches.batchQueues.list().length, jobs: caches.jobs.list().length };
    log.info(counts, 'caches synced');
    if (elector) elector.campaign();
    else controller.start();
  }
  const signal = await stopSignal;
  log.info({ signal }, 'draining: no further polls; what the last ones bring still becomes jobs');
  state.stopping = true;
  await Promise.all([elector?.handOver(DRAIN_DEADLINE_MS), controller.drain(DRAIN_DEADLINE_MS)]);

  // 5. Stop, in the reverse order.
  await parts.events.flush();
  await caches.stop();
  parts.lag.stop();
  await health.stop();
  parts.aws.close();
  await parts.transport.close();
  await parts.electorTransport.close();
  log.info({}, 'stopped');
}

/** Leading is not asked for: a standby that has seen everything is ready. */
function readiness(caches: WatchedCaches, state: { readonly stopping: boolean }) {
  return {
    synced: () => (caches.hasSynced() ? undefined : 'the first lists are not complete'),
    watches: () =>
      caches.staleForMs() > STALE_MS ? 'the API server has not been heard for minutes' : undefined,
    running: () => (state.stopping ? 'shutting down' : undefined),
  };
}

/** The Lease is in the pod's own namespace, which credentials bring with them, unless a setting says otherwise. */
function leaseNamespace(config: OperatorConfig, kubeConfig: KubeConfig): string {
  const context = kubeConfig.getContextObject(kubeConfig.getCurrentContext());
  return config.leaseNamespace ?? context?.namespace ?? 'default';
}

/** Resolves with the first SIGTERM or SIGINT; a second one ends the process as it always would. */
function untilSignalled(): Promise<string> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve('SIGTERM'));
    process.once('SIGINT', () => resolve('SIGINT'));
  });
}

await main();
