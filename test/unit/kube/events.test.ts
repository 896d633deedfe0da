import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { OperatorError } from '../../../operator/errors.ts';
import { cutNote, type EventInput } from '../../../operator/kube/event-series.ts';
import { EventRecorder } from '../../../operator/kube/events.ts';
import type { KubeObject } from '../../../operator/ports.ts';
import { MemoryLog } from '../../support/logs.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

type Call = { readonly verb: 'create' | 'patch'; readonly name: string; readonly body: object };

/** Keeps what it is told, as the server's event store would; `refuse` makes the next calls fail. */
class EventServer {
  readonly calls: Call[] = [];
  readonly refusals: Error[] = [];

  async create(_resource: object, _namespace: string | undefined, body: KubeObject): Promise<KubeObject> {
    this.#take({ verb: 'create', name: body.metadata.name, body });
    return body;
  }

  async patch(
    _resource: object,
    _namespace: string | undefined,
    name: string,
    body: object,
  ): Promise<KubeObject> {
    this.#take({ verb: 'patch', name, body });
    return { metadata: { name } };
  }

  #take(call: Call): void {
    this.calls.push(call);
    const refusal = this.refusals.shift();
    if (refusal !== undefined) throw refusal;
  }
}

function anError(code: string, verdict: 'retry' | 'terminal'): OperatorError {
  return new OperatorError({ code, verdict, message: code });
}

function anEvent(fields: Partial<EventInput> = {}, uid = 'u1'): EventInput {
  const regarding = {
    apiVersion: 'batchqueue.io/v1alpha1',
    kind: 'BatchQueue',
    name: 'orders',
    namespace: 'n',
    uid,
  };
  return { regarding, type: 'Normal', reason: 'JobCreated', note: 'created a job', ...fields };
}

function aBench() {
  const clock = new VirtualClock();
  const log = new MemoryLog();
  const server = new EventServer();
  return { clock, log, server, recorder: new EventRecorder({ client: server, clock, log }) };
}

describe('an event recorder', () => {
  test('tells equal events as one object that counts', async () => {
    const { clock, server, recorder } = aBench();
    recorder.record(anEvent());
    await clock.settle();
    await clock.advance(1000);
    recorder.record(anEvent());
    await clock.settle();
    recorder.record(anEvent({ reason: 'Other' }));
    recorder.record(anEvent({}, 'u2'));
    await clock.settle();

    expect(server.calls.map(({ verb }) => verb)).toEqual(['create', 'patch', 'create', 'create']);
    expect(server.calls[0]?.body).toMatchObject({
      metadata: { namespace: 'n' },
      reason: 'JobCreated',
      action: 'JobCreated',
    });
    expect(server.calls[1]).toMatchObject({
      name: server.calls[0]?.name,
      body: { series: { count: 2, lastObservedTime: '2026-01-01T00:00:01.000000Z' } },
    });
    expect(new Set(server.calls.map(({ name }) => name)).size).toBe(3);
  });

  test('begins a new object after six quiet minutes', async () => {
    const { clock, server, recorder } = aBench();
    recorder.record(anEvent());
    await clock.advance(6 * 60_000 + 1);
    recorder.record(anEvent());
    await clock.settle();

    expect(server.calls.map(({ verb }) => verb)).toEqual(['create', 'create']);
    expect(server.calls[0]?.name).not.toBe(server.calls[1]?.name);
  });

  test('writes at most 25 times at once and then every 10 s for one object, and loses no count', async () => {
    const { clock, server, recorder } = aBench();
    for (let count = 0; count < 100; count += 1) {
      recorder.record(anEvent());
      await clock.settle();
    }
    expect(server.calls).toHaveLength(25);
    recorder.record(anEvent({}, 'u2'));
    await clock.settle();
    expect(server.calls).toHaveLength(26);

    await clock.advance(20_000);

    expect(server.calls.at(-1)?.body).toMatchObject({ series: { count: 100 } });
    expect(server.calls).toHaveLength(27);
    expect(clock.pending()).toBe(0);
  });

  test('tells a warning at once, however many ordinary events of the object are waiting', async () => {
    const { clock, server, recorder } = aBench();
    for (let count = 0; count < 40; count += 1) recorder.record(anEvent({ note: `note ${count}` }));
    await clock.settle();
    expect(server.calls).toHaveLength(25);
    recorder.record(anEvent({ type: 'Warning', reason: 'JobFailed' }));
    await clock.settle();

    expect(server.calls.at(-1)?.body).toMatchObject({ type: 'Warning', reason: 'JobFailed' });
  });

  test('writes at a flush what still waits for its turn', async () => {
    const { clock, server, recorder } = aBench();
    for (let count = 0; count < 40; count += 1) recorder.record(anEvent({ note: `note ${count}` }));
    await clock.settle();
    expect(server.calls).toHaveLength(25);
    await recorder.flush();

    expect(server.calls).toHaveLength(40);
    expect(clock.pending()).toBe(0);
  });

  test('tries again in ten seconds when the server did not answer, and until then asks nothing more', async () => {
    const { clock, log, server, recorder } = aBench();
    server.refusals.push(anError('Unavailable', 'retry'));
    recorder.record(anEvent());
    recorder.record(anEvent({ reason: 'Other' }));
    await clock.settle();
    expect(server.calls).toHaveLength(1);
    await clock.advance(10_000);

    expect(server.calls.slice(1).map(({ body }) => body)).toMatchObject([
      { reason: 'Other' },
      { reason: 'JobCreated' },
    ]);
    expect(log.lines).toEqual([]);
    expect(clock.pending()).toBe(0);
  });

  test('gives up after three more tries', async () => {
    const { clock, log, server, recorder } = aBench();
    server.refusals.push(...Array.from({ length: 9 }, () => anError('Unavailable', 'retry')));
    recorder.record(anEvent());
    await clock.advance(600_000);

    expect(server.calls).toHaveLength(4);
    expect(log.lines).toHaveLength(1);
    expect(clock.pending()).toBe(0);
  });

  test('drops what the server refuses for good, and says so', async () => {
    const { clock, log, server, recorder } = aBench();
    server.refusals.push(anError('Forbidden', 'terminal'));
    recorder.record(anEvent());
    await clock.advance(60_000);

    expect(server.calls).toHaveLength(1);
    expect(log.lines).toMatchObject([
      { level: 'warn', fields: { reason: 'JobCreated', error: 'Forbidden' } },
    ]);
  });

  test('makes the object again when the server has forgotten it, and takes it for made when the answer was lost', async () => {
    const { clock, server, recorder } = aBench();
    recorder.record(anEvent());
    await clock.settle();
    server.refusals.push(anError('NotFound', 'terminal'));
    recorder.record(anEvent());
    await clock.settle();
    expect(server.calls.map(({ verb }) => verb)).toEqual(['create', 'patch', 'create']);

    server.refusals.push(anError('AlreadyExists', 'terminal'));
    recorder.record(anEvent({ reason: 'Other' }));
    await clock.advance(60_000);
    expect(server.calls).toHaveLength(4);
  });
});

test('a note is cut to 1024 bytes without breaking a character', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 0, maxLength: 1500 }), (note) => {
      const cut = cutNote(note);
      expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(1024);
      expect(note.startsWith(cut.replace(/…$/, ''))).toBe(true);
    }),
  );
  expect(cutNote('x'.repeat(1024))).toHaveLength(1024);
  expect(Buffer.byteLength(cutNote('ä'.repeat(600)))).toBe(1023);
});

test('a storm beyond the tokens costs next to nothing', async () => {
  const { clock, log, server } = aBench();
  let looks = 0;
  const counting = {
    now: () => {
      looks += 1;
      return clock.now();
    },
    after: (delayMs: number, task: () => void) => clock.after(delayMs, task),
  };
  const recorder = new EventRecorder({ client: server, clock: counting, log });
  for (let index = 0; index < 500; index += 1) {
    recorder.record(anEvent({ note: `created job ${index}` }));
    await clock.settle();
  }
  expect(server.calls).toHaveLength(25);
  const before = looks;
  recorder.record(anEvent({ note: 'one more' }));
  await clock.settle();
  expect(looks - before).toBeLessThan(10);
});
