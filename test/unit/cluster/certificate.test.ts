import { createPrivateKey, X509Certificate } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { issueCertificate, makeAuthority } from '../../cluster/certificate.ts';
import * as der from '../../cluster/der.ts';

const authority = makeAuthority('an authority');
const root = new X509Certificate(authority.certificate);

describe('certificates', () => {
  test('the authority signs itself and is one', () => {
    expect(root.ca).toBe(true);
    expect(root.verify(root.publicKey)).toBe(true);
  });

  test('an issued certificate is signed by the authority, names it and is none itself', () => {
    const request = {
      name: 'a',
      subject: { organization: 'system:nodes', commonName: 'node' },
      usage: 'client' as const,
    };
    const pair = issueCertificate(authority, request);
    const certificate = new X509Certificate(pair.certificate);
    expect(certificate.verify(root.publicKey)).toBe(true);
    expect(certificate.checkIssued(root)).toBe(true);
    expect(certificate.ca).toBe(false);
    expect(certificate.subject).toBe('O=system:nodes\nCN=node');
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    expect(certificate.checkPrivateKey(createPrivateKey(pair.key))).toBe(true);
  });

  test('a server certificate is good for its names and addresses alone', () => {
    const subject = { commonName: 'server' };
    const names = { dnsNames: ['kubernetes.default'], addresses: ['10.192.0.1'] };
    const pair = issueCertificate(authority, { name: 'b', subject, usage: 'server', ...names });
    const certificate = new X509Certificate(pair.certificate);
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(certificate.checkHost('kubernetes.default')).toBe('kubernetes.default');
    expect(certificate.checkIP('10.192.0.1')).toBe('10.192.0.1');
    expect(certificate.checkHost('elsewhere')).toBeUndefined();
    expect(certificate.checkIP('10.192.0.2')).toBeUndefined();
  });

  test('is valid from before now until months from now', () => {
    const now = Date.now();
    expect(Date.parse(root.validFrom)).toBeLessThan(now);
    expect(Date.parse(root.validTo)).toBeGreaterThan(now + 90 * 86_400_000);
  });

  test('no two certificates have the same serial number', () => {
    const request = { name: 'c', subject: { commonName: 'c' }, usage: 'client' as const };
    const numbers = [1, 2, 3].map(
      () => new X509Certificate(issueCertificate(authority, request).certificate).serialNumber,
    );
    expect(new Set(numbers).size).toBe(3);
  });
});

describe('DER', () => {
  test.each([
    [0x7f, '047f'],
    [0x80, '048180'],
    [0x100, '04820100'],
  ])('writes a length of %i', (length, expected) => {
    expect(der.octetString(Buffer.alloc(length)).toString('hex').startsWith(expected)).toBe(true);
  });

  test.each([
    ['2.5.29.17', '0603551d11'],
    ['1.2.840.10045.4.3.2', '06082a8648ce3d040302'],
  ])('writes the object identifier %s', (dotted, expected) => {
    expect(der.objectIdentifier(dotted).toString('hex')).toBe(expected);
  });

  test('keeps a number with its top bit set positive', () => {
    expect(der.integer(Buffer.from([0xff])).toString('hex')).toBe('020200ff');
  });
});
