import { createPublicKey, type JsonWebKey, randomBytes, verify } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { kubectl } from './kubectl.ts';

/** An IAM role as far as its trust policy goes: one subject, one audience. */
export interface TrustedRole {
  readonly roleArn: string;
  /** `system:serviceaccount:<namespace>:<name>`. */
  readonly subject: string;
  readonly audience: string;
}

/** Who a request comes from. */
export interface Session {
  readonly roleArn: string;
  readonly sessionName: string;
  readonly sessionToken: string;
  /** The queue that a session policy names; undefined: there is no such policy. */
  readonly onlyQueueArn: string | undefined;
}

/** One AssumeRoleWithWebIdentity, and what became of it. */
interface Asked {
  readonly roleArn: string;
  readonly sessionName: string;
  readonly outcome: string;
  /** See `Session`. */
  readonly onlyQueueArn: string | undefined;
}

const jwksSchema = z.object({ keys: z.array(z.looseObject({ kid: z.string() })) });
const policySchema = z.object({
  Version: z.literal('2012-10-17'),
  Statement: z.array(
    z.strictObject({
      Effect: z.literal('Allow'),
      Action: z.array(z.string().regex(/^[a-z]+:[A-Z]\w+$/)),
      Resource: z.string(),
      Condition: z.unknown().optional(),
    }),
  ),
});
const headerSchema = z.object({ kid: z.string(), alg: z.enum(['RS256', 'ES256']) });
const claimsSchema = z.object({
  iss: z.string(),
  sub: z.string(),
  aud: z.array(z.string()),
  exp: z.number(),
});

/** An error as STS words it. */
class Refusal extends Error {
  readonly code: string;
  readonly status: number;

  constructor(code: string, message: string, status = 400) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

/**
 * STS as far as AssumeRoleWithWebIdentity goes, in front of one cluster's OIDC provider: a token's signature is verified
 * with the keys that the cluster publishes, then its issuer, its time, its audience and its subject by the role's trust
 * policy. What it hands out is known by its access key.
 */
export class StsServer {
  readonly #server: Server;
  readonly #keys: ReadonlyMap<string, JsonWebKey>;
  /** Of the cluster's tokens. */
  readonly issuer: string;
  readonly #roles = new Map<string, TrustedRole>();
  readonly #sessions = new Map<string, Session>();
  readonly #asked: Asked[] = [];
  #port = 0;

  private constructor(issuer: string, keys: ReadonlyMap<string, JsonWebKey>) {
    this.issuer = issuer;
    this.#keys = keys;
    this.#server = createServer((request, response) => {
      void text(request).then((body) => this.#answer(new URLSearchParams(body), response));
    });
  }

  /** Of the integration cluster; listens on a free port of 127.0.0.1. */
  static async start(): Promise<StsServer> {
    const provider = JSON.parse(await kubectl('get', '--raw', '/.well-known/openid-configuration'));
    const { issuer } = z.object({ issuer: z.string() }).parse(provider);
    const { keys } = jwksSchema.parse(JSON.parse(await kubectl('get', '--raw', '/openid/v1/jwks')));
    const sts = new StsServer(issuer, new Map(keys.map((key) => [key.kid, key])));
    sts.#server.listen(0, '127.0.0.1');
    await once(sts.#server, 'listening');
    const address = sts.#server.address();
    if (address !== null && typeof address === 'object') sts.#port = address.port;
    return sts;
  }

  endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** A role with this trust policy, in place of the one before. */
  trust(role: TrustedRole): void {
    this.#roles.set(role.roleArn, role);
  }

  /** Nobody may assume the role any more; sessions that are out go on. */
  distrust(roleArn: string): void {
    this.#roles.delete(roleArn);
  }

  /** Whose this access key is; undefined when it is not one of ours, or comes without its session token. */
  sessionOf(accessKeyId: string, sessionToken: string): Session | undefined {
    const session = this.#sessions.get(accessKeyId);
    return session?.sessionToken === sessionToken ? session : undefined;
  }

  /** What was asked for a role so far, in order. */
  asked(roleArn: string): readonly Asked[] {
    return this.#asked.filter((asked) => asked.roleArn === roleArn);
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  #answer(form: URLSearchParams, response: ServerResponse): void {
    const roleArn = form.get('RoleArn') ?? '';
    const sessionName = form.get('RoleSessionName') ?? '';
    response.setHeader('content-type', 'text/xml');
    let onlyQueueArn: string | undefined;
    try {
      if (form.get('Action') !== 'AssumeRoleWithWebIdentity') throw new Refusal('InvalidAction', 'unknown');
      if (!/^[\w+=,.@-]{2,64}$/.test(sessionName)) throw new Refusal('ValidationError', 'roleSessionName');
      onlyQueueArn = onlyQueueIn(form.get('Policy'));
      this.#verify(roleArn, form.get('WebIdentityToken') ?? '');
      this.#asked.push({ roleArn, sessionName, outcome: 'granted', onlyQueueArn });
      response.end(this.#grant(roleArn, sessionName, onlyQueueArn));
    } catch (error) {
      const { code, status, message } =
        error instanceof Refusal ? error : new Refusal('InternalFailure', '', 500);
      this.#asked.push({ roleArn, sessionName, outcome: code, onlyQueueArn });
      response.statusCode = status;
      response.end(
        `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error></ErrorResponse>`,
      );
    }
  }

  #verify(roleArn: string, token: string): void {
    const [head = '', payload = '', signature = ''] = token.split('.');
    const { kid } = headerSchema.parse(JSON.parse(decode(head)));
    const jwk = this.#keys.get(kid);
    // ES256's signatures are two numbers in a row; RSA knows no such setting.
    const key = jwk && {
      key: createPublicKey({ key: jwk, format: 'jwk' }),
      dsaEncoding: 'ieee-p1363' as const,
    };
    const signed = Buffer.from(`${head}.${payload}`);
    if (!key || !verify('sha256', signed, key, Buffer.from(signature, 'base64url')))
      throw new Refusal(
        'InvalidIdentityToken',
        "Couldn't retrieve verification key from your identity provider",
      );
    const claims = claimsSchema.parse(JSON.parse(decode(payload)));
    if (claims.iss !== this.issuer)
      throw new Refusal('InvalidIdentityToken', 'No OpenIDConnect provider found in your account');
    if (claims.exp * 1_000 < Date.now()) throw new Refusal('ExpiredTokenException', 'Token expired');
    const role = this.#roles.get(roleArn);
    if (!role || role.subject !== claims.sub)
      throw new Refusal('AccessDenied', 'Not authorized to perform sts:AssumeRoleWithWebIdentity', 403);
    if (!claims.aud.includes(role.audience))
      throw new Refusal('InvalidIdentityToken', 'Incorrect token audience');
  }

  #grant(roleArn: string, sessionName: string, onlyQueueArn: string | undefined): string {
    const accessKeyId = `ASIA${randomBytes(8).toString('hex').toUpperCase()}`;
    const sessionToken = `session-${randomBytes(24).toString('hex')}`;
    this.#sessions.set(accessKeyId, { roleArn, sessionName, sessionToken, onlyQueueArn });
    const expiration = new Date(Date.now() + 3_600_000).toISOString();
    const user = roleArn.replace(':iam:', ':sts:').replace(':role/', ':assumed-role/');
    return (
      '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>' +
      `<Credentials><AccessKeyId>${accessKeyId}</AccessKeyId><SecretAccessKey>canary-tenant-secret</SecretAccessKey>` +
      `<SessionToken>${sessionToken}</SessionToken><Expiration>${expiration}</Expiration></Credentials>` +
      `<AssumedRoleUser><Arn>${user}/${sessionName}</Arn><AssumedRoleId>AROA:${sessionName}</AssumedRoleId></AssumedRoleUser>` +
      '</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>'
    );
  }
}

function decode(part: string): string {
  return Buffer.from(part, 'base64url').toString();
}

/** The resource of the statement of a session policy that is about SQS. */
function onlyQueueIn(policy: string | null): string | undefined {
  if (policy === null) return undefined;
  if (policy.length > 2_048) throw new Refusal('PackedPolicyTooLarge', 'the policy is too large');
  const { Statement: statements } = policySchema.parse(JSON.parse(policy));
  return statements.find(({ Action: actions }) => actions.some((action) => action.startsWith('sqs:')))
    ?.Resource;
}
