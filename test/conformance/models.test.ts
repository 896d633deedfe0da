import { FAKE_SQS_FEATURES, startFakeSqs } from './subjects/fake-sqs.ts';
import { conformanceSuite } from './suite.ts';

conformanceSuite({ name: 'FakeSqs', features: FAKE_SQS_FEATURES, timeoutMs: 10_000, start: startFakeSqs });
