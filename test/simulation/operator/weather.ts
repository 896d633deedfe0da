/** How a request to the API server goes wrong. */
export type KubeFault =
  /** Never sent: nobody listens. */
  | 'refused'
  /** The connection broke before the request was carried out, or after it; the client cannot tell. */
  | 'reset'
  | 'lost'
  /** 500, carried out or not. */
  | 'error'
  /** No answer within the client's time; carried out somewhere in it, or never. */
  | 'timeout'
  /** 429 with Retry-After. */
  | 'throttled'
  /** 403. */
  | 'forbidden';

/** How a request to SQS goes wrong. */
export type SqsFault =
  | 'refused'
  /** Carried out, the answer is lost. */
  | 'lost'
  | 'throttled'
  /** One entry of a batch is refused, the others are carried out. */
  | 'partial'
  /** Carried out, and answered only many seconds later. */
  | 'late'
  /** The role was revoked. */
  | 'denied';

/** What one operator's connections are like. */
export interface Weather {
  kubeChance: number;
  kubeFaults: readonly KubeFault[];
  sqsChance: number;
  sqsFaults: readonly SqsFault[];
  /** How far the watches are behind, at most, in milliseconds. */
  watchLagMs: number;
  /** Watches say nothing until then (epoch ms), and notice it only after their own time. */
  watchSilentUntilMs: number;
}

export function fairWeather(): Weather {
  return {
    kubeChance: 0,
    kubeFaults: ['refused'],
    sqsChance: 0,
    sqsFaults: ['refused'],
    watchLagMs: 50,
    watchSilentUntilMs: 0,
  };
}
