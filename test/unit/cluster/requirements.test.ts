import { describe, expect, test } from '@jest/globals';
import { unsupportedReason } from '../../cluster/requirements.ts';

const ROOT = { platform: 'linux', architecture: 'x64', isRoot: true } as const;

describe('what a machine must be', () => {
  test('root on Linux can run both sizes', () => {
    expect(unsupportedReason('node', ROOT)).toBeUndefined();
    expect(unsupportedReason('control-plane', ROOT)).toBeUndefined();
  });

  test('an ordinary user can run a control plane and is told what a node takes', () => {
    const user = { ...ROOT, isRoot: false };
    expect(unsupportedReason('control-plane', user)).toBeUndefined();
    expect(unsupportedReason('node', user)).toMatch(/needs root.*sudo.*control-plane/);
  });

  test('other systems and processors are named in the reason', () => {
    expect(unsupportedReason('control-plane', { ...ROOT, platform: 'darwin' })).toMatch(
      /needs Linux.*darwin/,
    );
    expect(unsupportedReason('node', { ...ROOT, architecture: 's390x' })).toMatch(/x64 or arm64.*s390x/);
  });
});
