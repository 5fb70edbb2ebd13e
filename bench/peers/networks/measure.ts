// Contenders on a network: each in a process of its own, in turn.
import os from 'node:os';
import {fileURLToPath} from 'node:url';
import {ContenderProcess} from '../../childProcess.ts';
import type {Ran} from '../../turn.ts';
import {type Contender, isBase, type Kernels, type Question, type Started} from './contenders.ts';
import type {NetworkFacts} from './files.ts';

/** Contenders that were in turn with each other: only within it are rounds neighbours. */
export interface Measured {
  readonly network: string;
  readonly facts: NetworkFacts;
  readonly threads: number;
  readonly rows: readonly Row[];
}

export interface Row extends Started {
  readonly contender: string;
  readonly group: string;
  /** Each round's. */
  readonly turns: readonly Ran[];
  /** Of tfjs on wasm. */
  readonly kernels?: Kernels;
}

/** What was not measured, and why. */
export interface Skipped {
  readonly network: string;
  readonly threads: number;
  readonly contender: string;
  readonly reason: string;
}

export interface Task {
  readonly network: string;
  readonly folder: string;
  readonly facts: NetworkFacts;
  readonly threads: number;
  readonly contenders: readonly Contender[];
  readonly repetitions: number;
}

// Rounding errors add up over a network's layers.
const ALLOWED = 1e-3;
// Threads that have nothing to do spin on for a while.
const REST_MS = 8;

// Of few rounds nobody expects a figure.
const WARM_MS_A_ROUND = 100;

const script = fileURLToPath(new URL('child.ts', import.meta.url));

interface Running {
  readonly contender: Contender;
  readonly process: ContenderProcess<Question>;
  readonly started: Started;
}

/**
 * All at once where memory allows it, else a part after the other, the base contenders in each.
 *
 * @param tick Called as often as there are contenders and repetitions.
 * @throws Error if an engine computes something else than the reference: nothing is timed then.
 */
export async function measure(
  task: Task,
  tick: (what: string) => void,
): Promise<{measured: Measured[]; skipped: Skipped[]}> {
  const measured: Measured[] = [];
  const skipped: Skipped[] = [];
  const base = task.contenders.filter(isBase);
  let others = task.contenders.filter((contender) => !isBase(contender));
  do {
    const {rows, left} = await measureTogether(task, [...base, ...others], skipped, tick);
    const {network, facts, threads} = task;
    measured.push({network, facts, threads, rows});
    if (left.length === others.length && left.length > 0) {
      throw new Error(`${network}: there is not enough memory for ${left[0].name} beside stock and im2win.`);
    }
    others = left;
  } while (others.length > 0);
  return {measured, skipped};
}

async function measureTogether(
  task: Task,
  contenders: readonly Contender[],
  skipped: Skipped[],
  tick: (what: string) => void,
): Promise<{rows: Row[]; left: Contender[]}> {
  const {network, folder, facts, threads, repetitions} = task;
  const running: Running[] = [];
  let left: Contender[] = [];
  try {
    for (const [i, contender] of contenders.entries()) {
      tick(`${network}: ${contender.name} starts`);
      if (!isBase(contender) && os.freemem() < neededBytes(facts)) {
        left = contenders.slice(i);
        break;
      }
      const process = new ContenderProcess<Question>({
        name: contender.name,
        script,
        arguments: [JSON.stringify(contender), folder],
        environment: contender.environment,
      });
      try {
        running.push({contender, process, started: await process.answer<Started>()});
      } catch (error) {
        await process.stop();
        // Without it there is nothing to compare with.
        if (isBase(contender)) throw error;
        const {message} = error as Error;
        skipped.push({network, threads, contender: contender.name, reason: message.split('\n')[0]});
      }
    }
    for (const {contender, started} of running) {
      if (started.difference < ALLOWED) continue;
      throw new Error(
        `${network}: ${contender.name} differs from stock's layers model by ${started.difference} of the largest ` +
          `output; allowed: ${ALLOWED}.`,
      );
    }
    for (const {process} of running) await process.ask({warmMs: WARM_MS_A_ROUND * repetitions});
    const turns = running.map((): Ran[] => []);
    for (let repetition = 0; repetition < repetitions; ++repetition) {
      tick(`${network}, ${threads} thread${threads === 1 ? '' : 's'}, round ${repetition + 1}`);
      for (let place = 0; place < running.length; ++place) {
        const i = (place + repetition) % running.length;
        await new Promise((resolve) => setTimeout(resolve, REST_MS));
        turns[i].push(await running[i].process.ask<Ran>('run'));
      }
    }
    const rows: Row[] = [];
    for (const [i, {contender, process, started}] of running.entries()) {
      const kernels =
        contender.engine === 'tfjs-wasm' ? {kernels: await process.ask<Kernels>('kernels')} : undefined;
      rows.push({contender: contender.name, group: contender.group, ...started, turns: turns[i], ...kernels});
    }
    return {rows, left};
  } finally {
    await Promise.all(running.map(({process}) => process.stop()));
  }
}

/** What a contender may take: its code, and its weights in three places; and some for whatever else runs. */
const neededBytes = ({parameters}: NetworkFacts): number => 2 ** 30 + 3 * 4 * parameters;
