import { Identities } from '../../operator/aws/identities.ts';
import type { OperatorGrants } from '../../operator/aws/operator-grants.ts';
import type { SessionRequest } from '../../operator/aws/web-identity.ts';
import { OperatorError } from '../../operator/errors.ts';
import type { KubeObject } from '../../operator/ports.ts';
import { MemoryLog } from './logs.ts';
import { VirtualClock } from './virtual-clock.ts';

export const ROLE = 'arn:aws:iam::123456789012:role/poller';
const NOBODY: OperatorGrants = { namespaces: [], queues: [], defaultRegion: 'us-east-1' };

/** ServiceAccounts, an API server and an STS without any network, on a clock that a test moves. */
export class TenantWorld {
  readonly clock = new VirtualClock();
  readonly log = new MemoryLog();
  /** ServiceAccounts by `namespace/name`. */
  readonly accounts = new Map<string, KubeObject>();
  /** What the API server does instead of answering. */
  apiFails: OperatorError | undefined;
  /** What STS does instead of answering. */
  stsFails: OperatorError | undefined;
  /** What was asked, in order: `get`, `token <audience>`, `assume <role>`. */
  readonly asked: string[] = [];
  readonly requests: SessionRequest[] = [];
  readonly identities: Identities;

  constructor(grants: Partial<OperatorGrants> = {}, narrow = false) {
    this.identities = new Identities({
      narrow,
      grants: { ...NOBODY, ...grants },
      own: async () => ({ accessKeyId: 'own', secretAccessKey: 'own' }),
      api: {
        get: async (_, namespace, name) => {
          this.#ask('get', this.apiFails);
          return this.accounts.get(`${namespace}/${name}`);
        },
        requestToken: async (_, __, { audience }) => {
          this.#ask(`token ${audience}`, this.apiFails);
          return 'header.payload.signature';
        },
      },
      sts: {
        assume: async (request) => {
          this.#ask(`assume ${request.account.roleArn}`, this.stsFails);
          this.requests.push(request);
          return { accessKeyId: `key-${this.requests.length}`, secretAccessKey: 's', sessionToken: 't' };
        },
      },
      clock: this.clock,
      random: () => 0,
      log: this.log,
    });
  }

  account(annotations: Record<string, string> = {}, uid = 'uid-1', name = 'team-a/poller'): void {
    const role = { 'eks.amazonaws.com/role-arn': ROLE };
    this.accounts.set(name, { metadata: { name: 'poller', uid, annotations: { ...role, ...annotations } } });
  }

  /** What has been asked since the last call. */
  sinceThen(): readonly string[] {
    return this.asked.splice(0);
  }

  #ask(what: string, failure: OperatorError | undefined): void {
    this.asked.push(what);
    if (failure) throw failure;
  }
}

export function failing(
  code: string,
  verdict: 'retry' | 'terminal' = 'retry',
  message = code,
): OperatorError {
  return new OperatorError({ code, verdict, message });
}
