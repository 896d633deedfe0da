import { test } from '@jest/globals';
import { ALL_FEATURES } from './subject.ts';
import { startFauxqs, startLocalAwsSqs } from './subjects/emulators.ts';
import { motoMissing, startMoto } from './subjects/moto.ts';
import { conformanceSuite } from './suite.ts';

const SUITE = { features: ALL_FEATURES, timeoutMs: 90_000 } as const;

conformanceSuite({ ...SUITE, name: 'fauxqs', start: startFauxqs });
conformanceSuite({ ...SUITE, name: 'local-aws-sqs', start: startLocalAwsSqs });

const missing = motoMissing();
if (missing === undefined) {
  conformanceSuite({ ...SUITE, name: 'moto', start: startMoto });
} else {
  process.stderr.write(`moto is not held to the conformance suite: ${missing}\n`);
  test.skip(`moto: ${missing}`, () => undefined);
}
