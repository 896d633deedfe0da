/**
 * True when `error` comes from the operating system with this code, for example `EEXIST`. Looks at the code alone:
 * under jest, errors of Node's own modules are no instances of the `Error` that tests see.
 */
export function hasErrno(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code;
}
