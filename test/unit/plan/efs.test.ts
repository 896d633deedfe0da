import { expect, test } from '@jest/globals';
import { fileSystemOf, handleProblem } from '../../../operator/plan/efs.ts';

test.each([
  'fs-0ff53d77cb74d6474',
  'fs-abcd1234',
  'fs-abcd1234:',
  'fs-abcd1234::',
  'fs-abcd1234:/data',
  'fs-abcd1234:data/in',
  'fs-abcd1234::fsap-0123456789abcdef0',
  'fs-abcd1234:/data:fsap-0123456789abcdef0',
  'efs:fs-abcd1234::',
  'efs:fs-abcd1234:/data:fsap-01234567',
  's3files:fs-abcd1234::fsap-01234567',
  's3files:fs-abcd1234',
])('%s is a volume handle', (handle) => {
  expect(handleProblem(handle)).toBeUndefined();
});

test.each([
  ['', '"" is no file system ID'],
  ['fs-', '"fs-" is no file system ID'],
  ['fs-XXXXXXXX', '"fs-XXXXXXXX" is no file system ID'],
  ['fs-abc', '"fs-abc" is no file system ID'],
  ['FS-abcd1234', '"FS-abcd1234" is no file system ID'],
  [
    'fs-abcd1234.efs.us-east-1.amazonaws.com',
    '"fs-abcd1234.efs.us-east-1.amazonaws.com" is no file system ID',
  ],
  ['arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/fs-abcd1234', '"arn" is no file system ID'],
  ['fsap-0123456789abcdef0', '"fsap-0123456789abcdef0" is no file system ID'],
  ['fs-abcd1234:fsap-01234567:x', '"x" is no access point ID'],
  ['fs-abcd1234::fs-abcd1234', '"fs-abcd1234" is no access point ID'],
  ['fs-abcd1234:/a:fsap-01234567:x', 'it has too many fields'],
  ['nfs:fs-abcd1234', '"nfs" is no file system ID'],
  ['efs:', '"" is no file system ID'],
])('%s is none', (handle, problem) => {
  expect(handleProblem(handle)).toBe(problem);
});

test.each([
  ['fs-0ff53d77cb74d6474.efs.us-east-1.amazonaws.com', 'fs-0ff53d77cb74d6474'],
  ['us-east-1a.fs-abcd1234.efs.us-east-1.amazonaws.com', 'fs-abcd1234'],
  ['fs-abcd1234.efs.cn-north-1.amazonaws.com.cn', 'fs-abcd1234'],
  ['nfs.example.com', undefined],
  ['10.0.0.7', undefined],
  ['fs-abcd1234.efs.us-east-1.amazonaws.com.example.com', undefined],
  ['fs-abcd1234.fsx.us-east-1.amazonaws.com', undefined],
])('the NFS server %s is of file system %s', (server, fileSystem) => {
  expect(fileSystemOf(server)).toBe(fileSystem);
});
