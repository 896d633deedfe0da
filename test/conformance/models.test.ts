import { MODEL_QUEUE_FEATURES, startModelQueue } from './subjects/model-queue.ts';
import { conformanceSuite } from './suite.ts';

conformanceSuite({
  name: 'ModelQueue',
  features: MODEL_QUEUE_FEATURES,
  timeoutMs: 10_000,
  start: startModelQueue,
});
