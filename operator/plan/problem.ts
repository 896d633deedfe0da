/** A condition's reason (CamelCase) and message. */
export interface Problem {
  readonly reason: string;
  readonly message: string;
}
