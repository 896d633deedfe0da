/** True when `error` comes from the operating system with this code, for example `EEXIST`. */
export function hasErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
