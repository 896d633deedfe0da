import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { parseSqsRequest } from '../faults/sqs-requests.ts';
import type { Session, StsServer } from './sts-server.ts';

/** A call that came to the gate. */
export interface GateCall {
  readonly operation: string;
  /** The ARN of a role, or an access key that is not of a role. */
  readonly caller: string;
  readonly queueArn: string;
  readonly allowed: boolean;
}

const CREDENTIAL = /Credential=([^/]+)\/\d+\/([^/]+)\/sqs\//;

/**
 * IAM in front of an SQS emulator: who calls is told by the access key and its session token, what is called by the
 * queue's URL, and only what was allowed comes through.
 */
export class SqsGate {
  readonly #server: Server;
  readonly #upstream: string;
  readonly #sts: StsServer;
  readonly #allowed = new Set<string>();
  /** The one action that is taken away. */
  readonly #denied = new Map<string, string>();
  readonly #calls: GateCall[] = [];
  #port = 0;

  private constructor(upstream: string, sts: StsServer) {
    this.#upstream = upstream;
    this.#sts = sts;
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
  }

  static async start(upstream: string, sts: StsServer): Promise<SqsGate> {
    const gate = new SqsGate(upstream, sts);
    gate.#server.listen(0, '127.0.0.1');
    await once(gate.#server, 'listening');
    const address = gate.#server.address();
    if (address !== null && typeof address === 'object') gate.#port = address.port;
    return gate;
  }

  endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** This caller (a role's ARN, or an access key that is not of a role) may do everything with this queue. */
  allow(caller: string, queueArn: string): void {
    this.#allowed.add(`${caller} ${queueArn}`);
    this.#denied.delete(`${caller} ${queueArn}`);
  }

  /** `action`: only this one, as policies call it (the same for a request and its batch); default: all. */
  forbid(caller: string, queueArn: string, action?: string): void {
    if (action === undefined) this.#allowed.delete(`${caller} ${queueArn}`);
    else this.#denied.set(`${caller} ${queueArn}`, action);
  }

  calls(): readonly GateCall[] {
    return this.#calls;
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  /** As IAM does: the role's policy must allow it, and the session's must not stand in the way. */
  #isAllowed(
    { operation, caller, queueArn }: Omit<GateCall, 'allowed'>,
    session: Session | undefined,
  ): boolean {
    const subject = `${caller} ${queueArn}`;
    if (session?.onlyQueueArn !== undefined && session.onlyQueueArn !== queueArn) return false;
    return this.#allowed.has(subject) && this.#denied.get(subject) !== operation.replace(/Batch$/, '');
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request);
    const { operation, body: fields } = parseSqsRequest(request, Buffer.from(body));
    const { headers: sent } = request;
    const [, accessKeyId = '', region = ''] = CREDENTIAL.exec(sent.authorization ?? '') ?? [];
    const session = this.#sts.sessionOf(accessKeyId, String(sent['x-amz-security-token'] ?? ''));
    const caller = session?.roleArn ?? accessKeyId;
    const queueArn = arnOfUrl(String(fields['QueueUrl']), region);
    const allowed = this.#isAllowed({ operation, caller, queueArn }, session);
    this.#calls.push({ operation, caller, queueArn, allowed });
    if (!allowed) {
      const user = session ? assumedRole(session) : caller;
      const what = `sqs:${operation.replace(/Batch$/, '').toLowerCase()}`;
      const words = `User: ${user} is not authorized to perform: ${what} on resource: ${queueArn} because no identity-based policy allows the ${what} action`;
      return refuse(response, words);
    }
    const { host: _, connection: __, 'content-length': ___, ...headers } = request.headers;
    const answer = await fetch(this.#upstream, {
      method: 'POST',
      body,
      headers: Object.entries(headers).map(([key, value]): [string, string] => [key, String(value)]),
    });
    response.writeHead(answer.status, {
      'content-type': 'application/x-amz-json-1.0',
      ...queryError(answer),
    });
    response.end(await answer.text());
  }
}

function arnOfUrl(url: string, region: string): string {
  const [name = '', account = ''] = url.split('/').toReversed();
  return `arn:aws:sqs:${region}:${account}:${name}`;
}

/** Who calls, as AWS names a session. */
function assumedRole({ roleArn, sessionName }: Session): string {
  return `${roleArn.replace(':iam:', ':sts:').replace(':role/', ':assumed-role/')}/${sessionName}`;
}

function queryError({ headers }: Response): Record<string, string> {
  const code = headers.get('x-amzn-query-error');
  return code === null ? {} : { 'x-amzn-query-error': code };
}

function refuse(response: ServerResponse, message: string): void {
  response.writeHead(403, {
    'content-type': 'application/x-amz-json-1.0',
    'x-amzn-query-error': 'AccessDenied;Sender',
  });
  response.end(JSON.stringify({ __type: 'com.amazon.coral.service#AccessDeniedException', message }));
}
