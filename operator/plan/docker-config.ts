import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { KubeObject } from '../ports.ts';
import { readJson } from './read-json.ts';

/** What is in a `kubernetes.io/dockerconfigjson` Secret: for each registry, how to log in. Other fields are kept as they are. */

export const DOCKER_CONFIG_TYPE = 'kubernetes.io/dockerconfigjson';
export const DOCKER_CONFIG_KEY = '.dockerconfigjson';

const configSchema = z.looseObject({ auths: z.record(z.string(), z.unknown()).default({}) });
/** The content of such a Secret. Never logged. */
export type DockerConfig = z.output<typeof configSchema>;

const dataSchema = z.object({ data: z.looseObject({ [DOCKER_CONFIG_KEY]: z.string() }) });

/** Reads the Secret; undefined when it holds no such thing (the API server lets any JSON object through). */
export function dockerConfigOf(secret: KubeObject): DockerConfig | undefined {
  const read = dataSchema.safeParse(secret).data?.data[DOCKER_CONFIG_KEY];
  return read === undefined ? undefined : readJson(fromBase64(read), configSchema);
}

/** The value of the Secret's key. */
export function encodeDockerConfig(config: DockerConfig): string {
  return Buffer.from(JSON.stringify(config)).toString('base64');
}

/** How to log in to one registry, as `kubectl create secret docker-registry` writes it. */
export function loginOf(username: string, password: string): object {
  return { username, password, auth: Buffer.from(`${username}:${password}`).toString('base64') };
}

/** The same file with these logins; what it says of other registries stays, whatever it is. */
export function withLogins(config: DockerConfig, logins: ReadonlyMap<string, object>): DockerConfig {
  const others = Object.entries(config.auths).filter(([key]) => !logins.has(registryOf(key)));
  return { ...config, auths: Object.fromEntries([...others, ...logins]) };
}

/** What the file has for a host, under whichever of its spellings. */
export function loginFor({ auths }: DockerConfig, host: string): unknown {
  return Object.entries(auths).find(([key]) => registryOf(key) === host)?.[1];
}

/** Tells one login from another without telling what it is. */
export function fingerprintOf(login: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(login) ?? '')
    .digest('hex')
    .slice(0, 16);
}

const authSchema = z.object({
  auth: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
});
const ecrTokenSchema = z.object({ expiration: z.number().positive() });

/**
 * When the token of a login runs out, epoch ms. An ECR password is a base64 text of JSON that says so; undefined for
 * anything else.
 */
export function expiryOf(login: unknown): number | undefined {
  const { auth, username, password } = authSchema.safeParse(login).data ?? {};
  const [name, ...rest] = auth === undefined ? [username, password ?? ''] : fromBase64(auth).split(':');
  if (name !== 'AWS') return undefined;
  const token = readJson(fromBase64(rest.join(':')), ecrTokenSchema);
  return token && token.expiration * 1_000;
}

/** The registry that a key names: a host, perhaps with a scheme and the path of the API, but not with that of a repository. */
function registryOf(key: string): string {
  return key
    .toLowerCase()
    .replace(/^https?:\/\//, '')
    .replace(/\/(?:v[12]\/?)?$/, '');
}

function fromBase64(text: string): string {
  return Buffer.from(text, 'base64').toString('utf8');
}
