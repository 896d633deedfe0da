import type { ObjectPage } from '../../operator/kube/payload.ts';
import type { ListOptions, RestClient, WatchOptions } from '../../operator/kube/rest-client.ts';
import type { WatchEvent } from '../../operator/kube/watch-stream.ts';
import type { KubeObject, Resource } from '../../operator/ports.ts';

/** A watch that a reflector has open; the test plays the server. */
export interface OpenedWatch {
  readonly options: WatchOptions;
  readonly signal: AbortSignal;
  send(event: WatchEvent): void;
  /** By plan. */
  end(): void;
  fail(error: Error): void;
}

type Step = { readonly event: WatchEvent } | { readonly error: Error } | 'end';

/** Plays the API server for a reflector on virtual time: lists come from a script, watches are driven by hand. */
export class ScriptedCollection implements Pick<RestClient, 'list' | 'watch'> {
  /** What the next lists answer; the last one is repeated. */
  readonly #answers: (ObjectPage | Error)[];
  readonly lists: ListOptions[] = [];
  readonly watches: OpenedWatch[] = [];

  constructor(...answers: (ObjectPage | Error)[]) {
    this.#answers = answers;
  }

  async list(_resource: Resource, options: ListOptions = {}): Promise<ObjectPage> {
    this.lists.push(options);
    const answer = this.#answers.length > 1 ? this.#answers.shift() : this.#answers[0];
    if (answer instanceof Error) throw answer;
    return { ...answer, items: [...(answer?.items ?? [])], resourceVersion: answer?.resourceVersion ?? '1' };
  }

  async *watch(
    _resource: Resource,
    options: WatchOptions,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent, void> {
    const steps: Step[] = [];
    let wake = (): void => undefined;
    const push = (step: Step): void => {
      steps.push(step);
      wake();
    };
    this.watches.push({
      options,
      signal,
      send: (event) => push({ event }),
      end: () => push('end'),
      fail: (error) => push({ error }),
    });
    // It does not listen to `signal`: whoever reads must not depend on that.
    for (;;) {
      const step = steps.shift();
      if (step === 'end') return;
      if (step === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      } else if ('error' in step) throw step.error;
      else yield step.event;
    }
  }
}

export function aPage(resourceVersion: number, ...items: KubeObject[]): ObjectPage {
  return { items, resourceVersion: String(resourceVersion) };
}

export function anItem(name: string, resourceVersion: number, uid = `uid-${name}`): KubeObject {
  return { metadata: { name, namespace: 'n', uid, resourceVersion: String(resourceVersion) } };
}
