import { createHash } from 'node:crypto';
import { API_GROUP, FIELD_MANAGER } from '../api/names.ts';
import type { KubeObject } from '../ports.ts';

/** The API server refuses longer notes. */
const NOTE_BYTES_MAX = 1024;
/** The API server refuses longer actions and instances. */
const WORD_CHARACTERS_MAX = 128;
/** Leaves room for `.` and 16 characters below the 253 of an object's name. */
const NAME_CHARACTERS_MAX = 200;
const ELLIPSIS = '…';

/** What an event is about. */
interface EventReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  /** Undefined for objects without a namespace; their events are in `default`. */
  readonly namespace?: string;
  readonly uid: string;
  readonly resourceVersion?: string;
}

export interface EventInput {
  readonly regarding: EventReference;
  readonly type: 'Normal' | 'Warning';
  /** CamelCase, why it happened; part of what users grep for. */
  readonly reason: string;
  /** A sentence for people, without what differs between repetitions (counts, times): equal notes become one event. */
  readonly note: string;
  /** What was done, CamelCase; default the reason. */
  readonly action?: string;
}

/** One event object on the server and how often what it tells has happened. Times are epoch milliseconds. */
export interface EventSeries {
  readonly input: EventInput;
  readonly firstAt: number;
  lastAt: number;
  count: number;
  /** The count that the server has; 0 before the object exists. */
  writtenCount: number;
  failures: number;
}

/** Equal keys are told by one event object. */
export function seriesKeyOf({ regarding, type, reason, note }: EventInput): string {
  return JSON.stringify([regarding.uid, type, reason, note]);
}

/** Where the event object lives. The name follows from the content, so that asking twice for it cannot make two. */
export function eventAddressOf(series: EventSeries): { readonly namespace: string; readonly name: string } {
  const { regarding } = series.input;
  const digest = createHash('sha256')
    .update(`${seriesKeyOf(series.input)} ${series.firstAt}`)
    .digest('hex');
  const stem = regarding.name.slice(0, NAME_CHARACTERS_MAX).replace(/[^a-z0-9]+$/, '');
  return { namespace: regarding.namespace ?? 'default', name: `${stem}.${digest.slice(0, 16)}` };
}

/** The `events.k8s.io/v1` object as it is created. */
export function buildEvent(series: EventSeries, instance: string): KubeObject {
  const { regarding, type, reason, note, action } = series.input;
  const { apiVersion, kind, name, namespace, uid, resourceVersion } = regarding;
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: eventAddressOf(series),
    eventTime: microTime(series.firstAt),
    reportingController: `${API_GROUP}/${FIELD_MANAGER}`,
    reportingInstance: instance.slice(0, WORD_CHARACTERS_MAX),
    action: (action ?? reason).slice(0, WORD_CHARACTERS_MAX),
    reason: reason.slice(0, WORD_CHARACTERS_MAX),
    regarding: { apiVersion, kind, name, namespace, uid, resourceVersion },
    note: cutNote(note),
    type,
    ...(series.count > 1 ? buildSeriesPatch(series) : {}),
  };
}

/** The merge patch that tells how often it has happened by now; the count is absolute, so sending it twice is harmless. */
export function buildSeriesPatch(series: EventSeries): { readonly series: object } {
  return { series: { count: series.count, lastObservedTime: microTime(series.lastAt) } };
}

/** At most 1024 bytes of UTF-8, no half characters, an ellipsis where something is missing. */
export function cutNote(note: string): string {
  const bytes = Buffer.from(note);
  if (bytes.length <= NOTE_BYTES_MAX) return note;
  let end = NOTE_BYTES_MAX - Buffer.byteLength(ELLIPSIS);
  // A byte 10xxxxxx continues a character: go back to where it begins.
  while (((bytes[end] ?? 0) & 0b1100_0000) === 0b1000_0000) end -= 1;
  return `${bytes.toString('utf8', 0, end)}${ELLIPSIS}`;
}

function microTime(epochMs: number): string {
  return new Date(epochMs).toISOString().replace('Z', '000Z');
}
