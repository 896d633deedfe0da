/**
 * The command line of every Kubernetes component. Both sizes run the same control plane; they differ in addresses
 * and in who may be asked for pods.
 */
import type { Program } from './processes.ts';

/** Where things are in one cluster. */
export interface ClusterLayout {
  readonly directory: string;
  /** Directory of the Kubernetes and etcd binaries. */
  readonly binaries: string;
  readonly ports: ControlPlanePorts;
  /** Address the API server tells others; undefined when no pod will ever ask for it. */
  readonly advertiseAddress?: string;
  readonly serviceNetwork: string;
}

export interface ControlPlanePorts {
  readonly etcd: number;
  readonly etcdPeer: number;
  readonly apiServer: number;
  readonly controllerManager: number;
}

/** Fsync is off: a cluster that loses power is thrown away anyway. */
export function etcd(layout: ClusterLayout): Program {
  const client = `http://127.0.0.1:${layout.ports.etcd}`;
  const peer = `http://127.0.0.1:${layout.ports.etcdPeer}`;
  return program(layout, 'etcd', {
    name: 'e',
    'data-dir': `${layout.directory}/etcd`,
    'listen-client-urls': client,
    'advertise-client-urls': client,
    'listen-peer-urls': peer,
    'initial-advertise-peer-urls': peer,
    'initial-cluster': `e=${peer}`,
    'unsafe-no-fsync': 'true',
    'log-level': 'warn',
  });
}

export function apiServer(layout: ClusterLayout): Program {
  const pki = `${layout.directory}/pki`;
  const isNode = layout.advertiseAddress !== undefined;
  return program(layout, 'kube-apiserver', {
    'etcd-servers': `http://127.0.0.1:${layout.ports.etcd}`,
    'bind-address': isNode ? '0.0.0.0' : '127.0.0.1',
    'secure-port': String(layout.ports.apiServer),
    'service-cluster-ip-range': layout.serviceNetwork,
    'client-ca-file': `${pki}/ca.crt`,
    'tls-cert-file': `${pki}/apiserver.crt`,
    'tls-private-key-file': `${pki}/apiserver.key`,
    'service-account-issuer': 'https://kubernetes.default.svc',
    'service-account-key-file': `${pki}/sa.pub`,
    'service-account-signing-key-file': `${pki}/sa.key`,
    'authorization-mode': 'Node,RBAC',
    // The second one is off by default, and on in clusters that guard owners: whoever passes here passes there.
    'enable-admission-plugins': 'NodeRestriction,OwnerReferencesPermissionEnforcement',
    'allow-privileged': 'true',
    'cert-dir': `${layout.directory}/apiserver`,
    ...(isNode ? nodeAccess(layout, pki) : { 'endpoint-reconciler-type': 'none' }),
  });
}

function nodeAccess(layout: ClusterLayout, pki: string): Record<string, string> {
  return {
    'advertise-address': layout.advertiseAddress ?? '',
    'kubelet-client-certificate': `${pki}/apiserver-kubelet-client.crt`,
    'kubelet-client-key': `${pki}/apiserver-kubelet-client.key`,
    'kubelet-certificate-authority': `${pki}/ca.crt`,
    'kubelet-preferred-address-types': 'InternalIP',
  };
}

/**
 * The qps flags lift the client-side limit of 20 requests per second and controller: with it the `default`
 * ServiceAccount comes four seconds later and Jobs start at nine per second instead of a hundred.
 */
export function controllerManager(layout: ClusterLayout): Program {
  const pki = `${layout.directory}/pki`;
  return program(layout, 'kube-controller-manager', {
    ...credentials(layout, 'controller-manager'),
    'bind-address': '127.0.0.1',
    'secure-port': String(layout.ports.controllerManager),
    'cert-dir': `${layout.directory}/controller-manager`,
    'service-account-private-key-file': `${pki}/sa.key`,
    'root-ca-file': `${pki}/ca.crt`,
    'cluster-signing-cert-file': `${pki}/ca.crt`,
    'cluster-signing-key-file': `${pki}/ca.key`,
    'use-service-account-credentials': 'true',
    // Its default is made on the machine's own disk.
    'flex-volume-plugin-dir': `${layout.directory}/volume-plugins`,
    'node-monitor-period': '1s',
    'node-monitor-grace-period': '12s',
    'kube-api-qps': '500',
    'kube-api-burst': '1000',
    'concurrent-job-syncs': '20',
  });
}

export function scheduler(layout: ClusterLayout): Program {
  return program(layout, 'kube-scheduler', {
    ...credentials(layout, 'scheduler'),
    'bind-address': '127.0.0.1',
  });
}

export function kubelet(layout: ClusterLayout, nodeName: string): Program {
  return program(layout, 'kubelet', {
    config: `${layout.directory}/kubelet.yaml`,
    kubeconfig: `${layout.directory}/kubelet.kubeconfig`,
    'hostname-override': nodeName,
    'node-ip': layout.advertiseAddress ?? '',
    'root-dir': `${layout.directory}/kubelet`,
    'cert-dir': `${layout.directory}/kubelet-pki`,
  });
}

export function kubeProxy(layout: ClusterLayout): Program {
  return program(layout, 'kube-proxy', { config: `${layout.directory}/kube-proxy.yaml` });
}

function credentials(layout: ClusterLayout, user: string): Record<string, string> {
  const file = `${layout.directory}/${user}.kubeconfig`;
  return {
    kubeconfig: file,
    'authentication-kubeconfig': file,
    'authorization-kubeconfig': file,
    'leader-elect': 'false',
  };
}

function program(layout: ClusterLayout, name: string, flags: Record<string, string>): Program {
  const args = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
  return { name, command: `${layout.binaries}/${name}`, args };
}
