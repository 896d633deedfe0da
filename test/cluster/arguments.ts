/** The command line of `npm run cluster`. */
import type { ClusterSize } from './slots.ts';

export type Command =
  | { readonly kind: 'up'; readonly size: ClusterSize }
  | { readonly kind: 'down'; readonly which: { readonly name: string } | 'all' | 'only' }
  | { readonly kind: 'status' }
  | { readonly kind: 'help' }
  | { readonly kind: 'mistake'; readonly problem: string };

/** Printed on request and on a mistake. */
export const USAGE = `usage: npm run cluster -- up [--size node|control-plane]
       npm run cluster -- down [NAME|--all]
       npm run cluster -- status

up      starts a local Kubernetes that stays in the background and prints its kubeconfig
        node           control plane and one node that runs pods; needs root on Linux (default for root)
        control-plane  etcd, API server and controller manager; no pods run, no root needed
down    removes the cluster NAME, the only one when there is just one, or every one
status  lists the clusters of this user
`;

/** Reads the arguments after the program's name; never throws. Without --size root gets a node. */
export function parseArguments(args: readonly string[], isRoot: boolean): Command {
  const [verb, ...rest] = args;
  switch (verb) {
    case 'up':
      return parseUp(rest, isRoot);
    case 'down':
      return parseDown(rest);
    case 'status':
      return rest.length === 0 ? { kind: 'status' } : mistake(`status takes no ${rest[0]}`);
    case 'help':
    case '--help':
    case '-h':
      return { kind: 'help' };
    case undefined:
      return mistake('say up, down or status');
    default:
      return mistake(`there is no command ${verb}`);
  }
}

function parseUp(args: readonly string[], isRoot: boolean): Command {
  const [option, ...values] = args.flatMap((arg) =>
    arg.startsWith('--size=') ? ['--size', arg.slice('--size='.length)] : [arg],
  );
  if (option === undefined) return { kind: 'up', size: isRoot ? 'node' : 'control-plane' };
  if (option !== '--size') return mistake(`up takes no ${option}`);
  const [size, ...more] = values;
  if (size !== 'node' && size !== 'control-plane')
    return mistake(`--size must be node or control-plane, got ${size ?? 'nothing'}`);
  return more.length === 0 ? { kind: 'up', size } : mistake(`up takes no ${more[0]}`);
}

function parseDown(args: readonly string[]): Command {
  const [target, ...more] = args;
  if (more.length > 0) return mistake('down takes one name, or --all');
  if (target === undefined) return { kind: 'down', which: 'only' };
  if (target === '--all') return { kind: 'down', which: 'all' };
  return target.startsWith('-')
    ? mistake(`down takes no ${target}`)
    : { kind: 'down', which: { name: target } };
}

function mistake(problem: string): Command {
  return { kind: 'mistake', problem };
}
