/** What was read and written so far, for progress and for the result. */
export interface Totals {
  /** Rows of the input without the header. */
  rowsIn: number;
  /** Rows of the published output without the header. */
  rowsOut: number;
  /** Bad rows of the input that were set aside. */
  rowsRejected: number;
  bytesIn: number;
  bytesOut: number;
}

/** Nothing done yet. */
export function noTotals(): Totals {
  return { rowsIn: 0, rowsOut: 0, rowsRejected: 0, bytesIn: 0, bytesOut: 0 };
}

/** Adds `more` to `sum` in place. */
export function addTotals(sum: Totals, more: Readonly<Totals>): void {
  sum.rowsIn += more.rowsIn;
  sum.rowsOut += more.rowsOut;
  sum.rowsRejected += more.rowsRejected;
  sum.bytesIn += more.bytesIn;
  sum.bytesOut += more.bytesOut;
}
