import type { KubeObject } from '../../operator/ports.ts';

const SIZE = { storage: '5Gi' };

type Fields = Readonly<Record<string, unknown>>;

/** A PersistentVolume for many pods at once; `source` is what it is made of, by default a directory. */
export function aVolume(name: string, fields: Fields = {}): KubeObject {
  const source = { hostPath: { path: '/var/tmp', type: 'Directory' } };
  const access = { accessModes: ['ReadWriteMany'], persistentVolumeReclaimPolicy: 'Retain' };
  const spec = {
    ...access,
    capacity: SIZE,
    ...('csi' in fields || 'nfs' in fields ? {} : source),
    ...fields,
  };
  return { apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name }, spec };
}

/** A PersistentVolumeClaim for many pods at once. */
export function aVolumeClaim(namespace: string, name: string, fields: Fields = {}): KubeObject {
  const spec = { accessModes: ['ReadWriteMany'], resources: { requests: SIZE }, ...fields };
  return { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name, namespace }, spec };
}

/** A StorageClass that makes volumes on demand, if there is somebody who does. */
export function aStorageClass(name: string, provisioner: string): KubeObject {
  return { apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass', metadata: { name }, provisioner };
}

/** A claim and a volume that asks for it; `name` is free in the whole cluster. */
export function aBoundClaim(namespace: string, claimName: string, name: string): readonly KubeObject[] {
  const storageClassName = name;
  return [
    aVolume(name, { storageClassName, claimRef: { namespace, name: claimName } }),
    aVolumeClaim(namespace, claimName, { storageClassName, volumeName: name }),
  ];
}
