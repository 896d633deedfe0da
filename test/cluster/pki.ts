/** The certificates and keys of one cluster: one authority signs servers and clients. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { CertificateRequest, KeyPair } from './certificate.ts';
import { issueCertificate, makeAuthority, makeKeys, privatePem } from './certificate.ts';

export interface Pki {
  /** The authority's certificate, PEM. */
  readonly authority: string;
  /** By the name of the request. */
  readonly pairs: Readonly<Record<string, KeyPair>>;
}

/**
 * Issues the certificates and writes `ca.crt`, `ca.key`, `<name>.crt`, `<name>.key` and the service-account key pair
 * `sa.key`, `sa.pub` into `directory`, readable by this user alone.
 */
export async function makePki(directory: string, requests: readonly CertificateRequest[]): Promise<Pki> {
  const authority = makeAuthority('kubernetes-ca');
  const serviceAccounts = makeKeys();
  const pairs: Record<string, KeyPair> = {};
  const files: Record<string, string> = {
    'ca.crt': authority.certificate,
    'ca.key': privatePem(authority.privateKey),
    'sa.key': privatePem(serviceAccounts.privateKey),
    'sa.pub': serviceAccounts.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
  for (const request of requests) {
    const pair = issueCertificate(authority, request);
    pairs[request.name] = pair;
    files[`${request.name}.crt`] = pair.certificate;
    files[`${request.name}.key`] = pair.key;
  }
  await Promise.all(
    Object.entries(files).map(([name, text]) => writeFile(path.join(directory, name), text, { mode: 0o600 })),
  );
  return { authority: authority.certificate, pairs };
}
