import { describe, expect, test } from '@jest/globals';
import { parseLdd } from '../../cluster/base-layer.ts';
import { isNewEnough, versionFlags } from '../../cluster/build.ts';
import { parseContainerdVersion } from '../../cluster/containerd.ts';
import { checksumOf } from '../../cluster/download.ts';
import { identityFromStat, identityOf, isRunning } from '../../cluster/process-table.ts';
import { readVersions, requiredVersion } from '../../cluster/versions.ts';

describe('output of other programs', () => {
  test('the libraries and the loader in what ldd prints', () => {
    const output = [
      '\tlinux-vdso.so.1 (0x00007f31de5d7000)',
      '\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f31de4e1000)',
      '\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f31de01e000)',
      '\t/lib64/ld-linux-x86-64.so.2 (0x00007f31de5d9000)',
    ].join('\n');
    expect(parseLdd(output)).toEqual([
      '/lib/x86_64-linux-gnu/libc.so.6',
      '/lib/x86_64-linux-gnu/libm.so.6',
      '/lib64/ld-linux-x86-64.so.2',
    ]);
    expect(() => parseLdd('\tlibatomic.so.1 => not found')).toThrow('libatomic.so.1');
  });

  test.each([
    ['containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u2', 1],
    ['containerd github.com/containerd/containerd/v2 v2.1.4 75cb2b71', 2],
  ])('the major version in %j', (output, major) => {
    expect(parseContainerdVersion(output)).toBe(major);
  });

  test.each([
    ['go1.26.8', true],
    ['go1.26', true],
    ['go1.27rc1', true],
    ['go2.0', true],
    ['go1.25.9', false],
    ['devel +abc', false],
  ])('whether %s can build the tools: %s', (version, expected) => {
    expect(isNewEnough(version)).toBe(expected);
  });

  test('the start time in /proc/PID/stat, whatever the command is called', () => {
    const rest = Array.from({ length: 40 }, (_, index) => String(index + 4)).join(' ');
    expect(identityFromStat(7, `7 (a) b (c) S ${rest}`)).toEqual({ pid: 7, startTime: '22' });
    expect(identityFromStat(7, `7 (gone) Z ${rest}`)).toBeUndefined();
  });

  test('this process runs, and one with its number that started at another time does not', () => {
    const identity = identityOf(process.pid);
    expect(isRunning(identity)).toBe(true);
    expect(isRunning({ pid: process.pid, startTime: '1' })).toBe(false);
  });

  test('the checksum of one file among many', () => {
    const sums = 'aa  etcd-v3.6.14-linux-amd64.tar.gz\nbb *etcd-v3.6.14-linux-arm64.tar.gz\n';
    expect(checksumOf(sums, 'etcd-v3.6.14-linux-arm64.tar.gz')).toBe('bb');
    expect(() => checksumOf(sums, 'etcd')).toThrow('no checksum is published for etcd');
  });
});

describe('versions', () => {
  test('are those of the committed tool modules', async () => {
    const { kubernetes, etcd } = await readVersions();
    expect(kubernetes).toMatch(/^v1\.\d+\.\d+$/);
    expect(etcd).toMatch(/^v3\.\d+\.\d+$/);
  });

  test.each([
    'require k8s.io/kubernetes v1.36.4',
    'require (\n\tk8s.io/kubernetes v1.36.4\n\tk8s.io/api v0.0.0\n)',
  ])('are found in %j', (goMod) => {
    expect(requiredVersion(goMod, 'k8s.io/kubernetes')).toBe('v1.36.4');
  });

  test('a module that is not required is an error', () => {
    expect(() => requiredVersion('module x', 'k8s.io/kubernetes')).toThrow(
      'does not require k8s.io/kubernetes',
    );
  });

  test('are linked into the packages that servers and clients report them from', () => {
    const flags = versionFlags('v1.36.4');
    for (const name of ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version']) {
      expect(flags).toContain(`-X ${name}.gitVersion=v1.36.4`);
      expect(flags).toContain(`-X ${name}.gitMinor=36`);
    }
  });
});
