/** X.509 certificates (RFC 5280) with ECDSA P-256 keys. Node reads certificates but cannot write them. */

import type { KeyObject } from 'node:crypto';
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import * as der from './der.ts';

/** A certificate to issue. */
export interface CertificateRequest {
  /** File name without extension. */
  readonly name: string;
  readonly subject: Subject;
  readonly usage: 'server' | 'client';
  readonly dnsNames?: readonly string[];
  /** IPv4. */
  readonly addresses?: readonly string[];
}

/** Kubernetes reads a client's name from the common name and its group from the organization. */
interface Subject {
  readonly commonName: string;
  readonly organization?: string;
}

/** A certificate and its private key (PKCS#8), both PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** Who signs: a name and the keys that go with it. */
export interface Authority {
  readonly subject: Subject;
  readonly certificate: string;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

const OID = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAlternativeName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  server: '1.3.6.1.5.5.7.3.1',
  client: '1.3.6.1.5.5.7.3.2',
} as const;

/** Bits of KeyUsage, counted from the left. */
const DIGITAL_SIGNATURE = 0x80;
const KEY_CERT_SIGN = 0x04;

/** Clusters live for hours; a machine whose clock is a little wrong must still accept them. */
const VALID_BEFORE_MS = 3_600_000;
const VALID_FOR_MS = 365 * 86_400_000;

/** A new self-signed authority. */
export function makeAuthority(commonName: string): Authority {
  const { publicKey, privateKey } = makeKeys();
  const subject = { commonName };
  const signer = { subject, publicKey, privateKey };
  const extensions = [
    extension(OID.basicConstraints, der.sequence(der.boolean(true)), true),
    extension(OID.keyUsage, der.bitString(Buffer.from([DIGITAL_SIGNATURE | KEY_CERT_SIGN]), 2), true),
    extension(OID.subjectKeyIdentifier, der.octetString(keyIdentifier(publicKey))),
  ];
  return { ...signer, certificate: signCertificate(signer, { subject, publicKey, extensions }) };
}

/** A certificate with a new key, signed by `authority`, valid for a year. */
export function issueCertificate(authority: Authority, request: CertificateRequest): KeyPair {
  const { publicKey, privateKey } = makeKeys();
  const extensions = [
    extension(OID.basicConstraints, der.sequence(), true),
    extension(OID.keyUsage, der.bitString(Buffer.from([DIGITAL_SIGNATURE]), 7), true),
    extension(OID.extendedKeyUsage, der.sequence(der.objectIdentifier(OID[request.usage]))),
    extension(
      OID.authorityKeyIdentifier,
      der.sequence(der.tagged(0, false, keyIdentifier(authority.publicKey))),
    ),
    ...alternativeNames(request),
  ];
  const certificate = signCertificate(authority, { subject: request.subject, publicKey, extensions });
  return { certificate, key: privatePem(privateKey) };
}

/** A new ECDSA P-256 key pair. */
export function makeKeys(): { publicKey: KeyObject; privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

/** PKCS#8 PEM. */
export function privatePem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

interface Content {
  readonly subject: Subject;
  readonly publicKey: KeyObject;
  readonly extensions: readonly Buffer[];
}

function signCertificate(signer: Omit<Authority, 'certificate'>, content: Content): string {
  const nowMs = Date.now();
  const algorithm = der.sequence(der.objectIdentifier(OID.ecdsaWithSha256));
  const toSign = der.sequence(
    der.tagged(0, true, der.integer(Buffer.from([2]))), // version 3
    der.integer(serialNumber()),
    algorithm,
    name(signer.subject),
    der.sequence(der.utcTime(new Date(nowMs - VALID_BEFORE_MS)), der.utcTime(new Date(nowMs + VALID_FOR_MS))),
    name(content.subject),
    publicDer(content.publicKey),
    der.tagged(3, true, der.sequence(...content.extensions)),
  );
  const signature = sign('sha256', toSign, signer.privateKey);
  return pem(der.sequence(toSign, algorithm, der.bitString(signature)));
}

function name({ organization, commonName }: Subject): Buffer {
  const attribute = (type: string, value: string) =>
    der.set(der.sequence(der.objectIdentifier(type), der.utf8String(value)));
  return der.sequence(
    ...(organization === undefined ? [] : [attribute(OID.organization, organization)]),
    attribute(OID.commonName, commonName),
  );
}

function extension(type: string, value: Buffer, critical = false): Buffer {
  return der.sequence(
    der.objectIdentifier(type),
    ...(critical ? [der.boolean(true)] : []),
    der.octetString(value),
  );
}

/** GeneralName: [2] is a DNS name, [7] an address. */
function alternativeNames({ dnsNames = [], addresses = [] }: CertificateRequest): Buffer[] {
  const names = [
    ...dnsNames.map((value) => der.tagged(2, false, Buffer.from(value))),
    ...addresses.map((value) => der.tagged(7, false, Buffer.from(value.split('.').map(Number)))),
  ];
  return names.length === 0 ? [] : [extension(OID.subjectAlternativeName, der.sequence(...names))];
}

/** Positive, not zero, without needless leading zeros: the first byte is 0x40 to 0x7f. */
function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes;
}

function keyIdentifier(key: KeyObject): Buffer {
  return createHash('sha1').update(publicDer(key)).digest();
}

function publicDer(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' });
}

function pem(certificate: Buffer): string {
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
