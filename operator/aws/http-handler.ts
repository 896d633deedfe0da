import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { NodeHttpHandler } from '@smithy/node-http-handler';

export interface HttpLimits {
  readonly connectTimeoutMs: number;
  /** From the request to the end of its answer. */
  readonly requestTimeoutMs: number;
  /** Per host. */
  readonly maxSockets: number;
}

/**
 * The connections of one kind of requests to AWS. They are kept between requests; a request that takes too long fails,
 * where the SDK would only warn.
 */
export function httpHandler({ connectTimeoutMs, requestTimeoutMs, maxSockets }: HttpLimits): NodeHttpHandler {
  const sockets = { keepAlive: true, maxSockets };
  return new NodeHttpHandler({
    connectionTimeout: connectTimeoutMs,
    requestTimeout: requestTimeoutMs,
    throwOnRequestTimeout: true,
    httpAgent: new HttpAgent(sockets),
    httpsAgent: new HttpsAgent(sockets),
  });
}
