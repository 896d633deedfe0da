/** Configuration files of a node's processes. All but containerd's are JSON, which is YAML. */
import type { SlotAddresses } from './addresses.ts';

export interface NodeFiles {
  readonly directory: string;
  readonly addresses: SlotAddresses;
  readonly nodeName: string;
}

/** Evicts only when memory is nearly gone: a full disk of the developer's machine must not fail tests. */
export function kubeletConfig({ directory, addresses }: NodeFiles): string {
  return json({
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: '0.0.0.0',
    port: 10250,
    healthzBindAddress: '127.0.0.1',
    healthzPort: 10248,
    readOnlyPort: 0,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: `${directory}/pki/ca.crt` },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: `${directory}/pki/kubelet-serving.crt`,
    tlsPrivateKeyFile: `${directory}/pki/kubelet-serving.key`,
    containerRuntimeEndpoint: `unix://${containerdSocket(directory)}`,
    ...cgroupFields(addresses.name),
    failSwapOn: false,
    oomScoreAdj: 0,
    localStorageCapacityIsolation: true,
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    evictionHard: {
      'memory.available': '100Mi',
      'nodefs.available': '0%',
      'nodefs.inodesFree': '0%',
      'imagefs.available': '0%',
      'imagefs.inodesFree': '0%',
    },
    clusterDomain: 'cluster.local',
    // There is no DNS server; the node refuses the packets, so that a lookup fails at once instead of after seconds.
    clusterDNS: [addresses.nodeAddress],
    resolvConf: `${directory}/resolv.conf`,
    podLogsDir: `${directory}/pod-logs`,
    volumePluginDir: `${directory}/volume-plugins`,
    serializeImagePulls: false,
    maxPods: 60,
    podPidsLimit: 4096,
    nodeStatusUpdateFrequency: '4s',
    syncFrequency: '10s',
    crashLoopBackOff: { maxContainerRestartPeriod: '2s' },
  });
}

/**
 * `cgroupDriver` is explicit because containerd 1.6 cannot tell it; `failCgroupV1: false` because kubelet 1.35 and
 * later refuse version 1 by default.
 */
function cgroupFields(name: string): Record<string, unknown> {
  return {
    cgroupDriver: 'cgroupfs',
    failCgroupV1: false,
    cgroupRoot: `/${name}`,
    cgroupsPerQOS: true,
    enforceNodeAllocatable: ['pods'],
  };
}

/** The zeros under `conntrack` keep it from writing sysctls. */
export function kubeProxyConfig({ directory, addresses, nodeName }: NodeFiles): string {
  return json({
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    clientConnection: { kubeconfig: `${directory}/kube-proxy.kubeconfig` },
    hostnameOverride: nodeName,
    mode: 'iptables',
    clusterCIDR: addresses.podNetwork,
    healthzBindAddress: '127.0.0.1:10256',
    metricsBindAddress: '127.0.0.1:10249',
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
    oomScoreAdj: 0,
    iptables: { minSyncPeriod: '200ms', syncPeriod: '30s' },
  });
}

/**
 * A bridge and nothing else. In a private network namespace nobody else's firewall rules need exceptions, and each
 * further plugin costs every pod a tenth of a second. Consequence: no `hostPort`.
 */
export function cniConfig({ directory, addresses }: NodeFiles): string {
  return json({
    cniVersion: '0.4.0',
    name: addresses.name,
    plugins: [
      {
        type: 'bridge',
        bridge: 'cni0',
        isGateway: true,
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          dataDir: `${directory}/ipam`,
          ranges: [[{ subnet: addresses.podNetwork }]],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
    ],
  });
}

export interface ContainerdFields {
  readonly directory: string;
  /** 1 or 2: the configuration's form changed in between. */
  readonly majorVersion: number;
  readonly cniDirectory: string;
  readonly snapshotter: 'overlayfs' | 'native';
  readonly pauseImage: string;
}

/**
 * `restrict_oom_score_adj` keeps containers startable where this user may not lower an OOM score (without it runc
 * fails with an unrelated message).
 */
export function containerdConfig(fields: ContainerdFields): string {
  const { directory, majorVersion } = fields;
  const head = [
    `version = ${majorVersion >= 2 ? 3 : 2}`,
    `root = "${directory}/containerd/root"`,
    `state = "${directory}/containerd/state"`,
    'oom_score = 0',
    `disabled_plugins = [${DISABLED_PLUGINS.map((name) => `"io.containerd.${name}"`).join(', ')}]`,
    '[grpc]',
    `  address = "${containerdSocket(directory)}"`,
  ];
  return `${[...head, ...(majorVersion >= 2 ? criTables2(fields) : criTables1(fields))].join('\n')}\n`;
}

const DISABLED_PLUGINS = [
  'snapshotter.v1.aufs',
  'snapshotter.v1.blockfile',
  'snapshotter.v1.btrfs',
  'snapshotter.v1.devmapper',
  'snapshotter.v1.zfs',
  'internal.v1.opt',
  'internal.v1.tracing',
  'tracing.processor.v1.otlp',
];

function criTables1({ directory, cniDirectory, snapshotter, pauseImage }: ContainerdFields): string[] {
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  return [
    `[${cri}]`,
    `  sandbox_image = "${pauseImage}"`,
    '  restrict_oom_score_adj = true',
    '  disable_apparmor = true',
    '  tolerate_missing_hugetlb_controller = true',
    '  disable_hugetlb_controller = true',
    '  stream_server_address = "127.0.0.1"',
    '  stream_server_port = "0"',
    `[${cri}.cni]`,
    `  bin_dir = "${cniDirectory}"`,
    `  conf_dir = "${directory}/cni"`,
    `[${cri}.containerd]`,
    `  snapshotter = "${snapshotter}"`,
    ...runcTable(`${cri}.containerd`),
  ];
}

function criTables2({ directory, cniDirectory, snapshotter, pauseImage }: ContainerdFields): string[] {
  const runtime = "plugins.'io.containerd.cri.v1.runtime'";
  const images = "plugins.'io.containerd.cri.v1.images'";
  return [
    `[${images}]`,
    `  snapshotter = "${snapshotter}"`,
    `[${images}.pinned_images]`,
    `  sandbox = "${pauseImage}"`,
    `[${runtime}]`,
    '  restrict_oom_score_adj = true',
    '  disable_apparmor = true',
    `[${runtime}.cni]`,
    `  bin_dirs = ["${cniDirectory}"]`,
    `  conf_dir = "${directory}/cni"`,
    ...runcTable(`${runtime}.containerd`),
  ];
}

function runcTable(parent: string): string[] {
  return [
    `[${parent}.runtimes.runc]`,
    '  runtime_type = "io.containerd.runc.v2"',
    `[${parent}.runtimes.runc.options]`,
    '  SystemdCgroup = false',
  ];
}

/** Where containerd listens. */
export function containerdSocket(directory: string): string {
  return `${directory}/containerd.sock`;
}

function json(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
