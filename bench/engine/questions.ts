/**
 * The answering side of a process that a benchmark starts: questions come in over Node's IPC channel. Without any
 * library, because it is loaded into the operator too, whose memory is measured.
 */

export interface Question {
  readonly id: number;
  readonly name: string;
  readonly argument?: unknown;
}

export interface Answer {
  readonly id: number;
  readonly answer?: unknown;
  /** Why there is no answer. */
  readonly problem?: string;
}

export type Handlers = Readonly<Record<string, (argument: unknown) => unknown>>;

/** Answers from now on. The process ends when the benchmark does, however that ends. */
export function answerQuestions(handlers: Handlers): void {
  process.on('message', (message) => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only `Child` is at the other end
    void answer(message as Question, handlers).then((reply) => process.send?.(reply));
  });
  process.once('disconnect', () => process.exit());
}

async function answer({ id, name, argument }: Question, handlers: Handlers): Promise<Answer> {
  try {
    return { id, answer: await handlers[name]?.(argument) };
  } catch (error) {
    return { id, problem: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
