/** A warning that Kubernetes told about a Job or a pod. */
export interface StartEvent {
  readonly reason: string;
  readonly note: string;
  readonly lastSeenMs: number;
}

/** The warnings about one object, as they were read. */
export interface StartEvents {
  readonly readAtMs: number;
  readonly events: readonly StartEvent[];
}

/** Of what the events would explain why a Job does not start. */
export interface EventSubject {
  readonly kind: 'Job' | 'Pod';
  readonly name: string;
  readonly uid: string;
}
