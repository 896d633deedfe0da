import { availableParallelism } from 'node:os';
import { type Call, type CrashPoint, PLACES } from '../faults/call-sequence.ts';
import { OperatorBundle } from '../support/operator-bundle.ts';
import { OperatorStage } from '../support/operator-stage.ts';
import { ClusterHistory } from './cluster-history.ts';
import { type CaseReport, type CrashStage, playCase } from './crash-case.ts';
import type { Script } from './script.ts';
import { Turnstile } from './turnstile.ts';

/** How many cases go on at once per core: most of a case is waiting for the Job controller or for a lease to lapse. */
const CASES_PER_CORE = 6;
/** How often progress is told, in milliseconds. */
const PROGRESS_MS = 5_000;

/** What became of a campaign. */
export interface Outcome {
  /** The calls of the reference run, in order. */
  readonly reference: readonly Call[];
  readonly cases: number;
  /** Optional calls that did not come in the case that was to end the process there. */
  readonly notReached: readonly string[];
  /** One text per case that does not hold. */
  readonly failures: readonly string[];
}

/** Ends an operator at every call of a script, one case each. */
export class Campaign {
  readonly #parts: CrashStage;
  readonly #bundle: OperatorBundle;
  /** For the cases of all scripts. */
  readonly #turnstile = new Turnstile(CASES_PER_CORE * availableParallelism());
  #count = 0;

  private constructor(parts: CrashStage, operatorBundle: OperatorBundle) {
    this.#parts = parts;
    this.#bundle = operatorBundle;
  }

  /** Sets the stage that all cases share. */
  static async prepare(): Promise<Campaign> {
    const stage = await OperatorStage.set([]);
    const history = await ClusterHistory.start(stage.client);
    const operatorBundle = await OperatorBundle.make();
    return new Campaign({ stage, history, program: operatorBundle.program() }, operatorBundle);
  }

  async clear(): Promise<void> {
    await this.#parts.history.stop();
    await this.#parts.stage.clear();
    await this.#bundle.remove();
  }

  /**
   * Plays the script once as it is, then once for every call and place that `picks` takes. Throws when the reference
   * run does not hold.
   */
  async run(script: Script, picks: (point: CrashPoint) => boolean = () => true): Promise<Outcome> {
    const { calls } = await this.#reference(script);
    const points = calls.flatMap(pointsOf).filter(picks);
    const told = new Progress(script.name, points.length);
    const notReached: string[] = [];
    const failures: string[] = [];
    const tryOut = async (point: CrashPoint): Promise<void> => {
      const report = await this.#play(script, point);
      const problems = problemsOf(script, point, report);
      if (problems.length > 0) failures.push([textOf(point), ...problems].join('\n'));
      else if (!report.wasReached) notReached.push(textOf(point));
      told.step(failures.length);
    };
    await Promise.all(points.map(tryOut));
    return { reference: calls, cases: points.length, notReached, failures };
  }

  async #reference(script: Script): Promise<CaseReport> {
    const report = await this.#play(script);
    const missing = Object.entries(script.makes).flatMap(([kind, count]) => {
      const made = report.calls.filter((call) => call.kind === kind).length;
      return made < count ? [`it made ${made} calls "${kind}", not ${count}`] : [];
    });
    const problems = [...report.problems, ...missing];
    if (problems.length > 0) throw new Error(`the reference run of ${script.name}: ${problems.join('\n')}`);
    return report;
  }

  async #play(script: Script, point?: CrashPoint): Promise<CaseReport> {
    this.#count += 1;
    const name = `crash-${this.#count}`;
    return this.#turnstile.pass(() => playCase(this.#parts, name, script, point));
  }
}

/** Where a process can be ended at a call: a call that got no answer in the reference run need not get one in another. */
function pointsOf({ kind, ordinal, place: reached }: Call): readonly CrashPoint[] {
  const places = PLACES.slice(0, PLACES.indexOf(reached) + 1);
  return places.map((place) => ({ kind, ordinal, place }));
}

function problemsOf(script: Script, point: CrashPoint, report: CaseReport): readonly string[] {
  const isOptional = point.ordinal > (script.makes[point.kind] ?? 0);
  if (report.wasReached || isOptional) return report.problems;
  return ['the call did not come, though every run makes it', ...report.problems];
}

/** How a crash point is written: `committed patch jobs #1`. */
export function textOf({ kind, ordinal, place }: CrashPoint): string {
  return `${place} ${kind} #${ordinal}`;
}

/** Tells on stderr, where jest writes too, how far a campaign is. */
class Progress {
  readonly #name: string;
  readonly #total: number;
  readonly #startedAt = performance.now();
  #done = 0;
  #toldAt = 0;

  constructor(name: string, total: number) {
    this.#name = name;
    this.#total = total;
  }

  step(failed: number): void {
    this.#done += 1;
    const now = performance.now();
    if (this.#done < this.#total && now - this.#toldAt < PROGRESS_MS) return;
    this.#toldAt = now;
    const seconds = ((now - this.#startedAt) / 1000).toFixed(0);
    process.stderr.write(
      `crash: ${this.#name}: ${this.#done} of ${this.#total} cases, ${failed} failed, ${seconds} s\n`,
    );
  }
}
