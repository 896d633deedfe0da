/**
 * Compares two resourceVersions of one resource type: negative when `a` is older, 0 when equal, positive when newer.
 *
 * Kubernetes promises since 1.35 that resourceVersions are decimal integers that grow with every write of a resource
 * type (KEP-5504); before, they were etcd revisions, which do the same. They may be longer than 53 bits, so they are
 * compared as digits: the longer one is larger, equally long ones compare like text. A missing one is the oldest.
 */
export function compareResourceVersions(a: string | undefined, b: string | undefined): number {
  const left = digitsOf(a);
  const right = digitsOf(b);
  if (left.length !== right.length) return left.length - right.length;
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

function digitsOf(resourceVersion: string | undefined): string {
  return (resourceVersion ?? '').replace(/^0+/, '');
}
