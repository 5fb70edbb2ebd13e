// Runs contenders in turn, each in its process, on one subject after the other.
import {fileURLToPath} from 'node:url';
import {ContenderProcess} from '../childProcess.ts';
import {roundingBound} from '../measure.ts';
import {relativeDifference} from '../statistics.ts';
import type {Ran} from '../turn.ts';
import type {Contender, Prepared, Question, Ready, Subject} from './subject.ts';

export interface Row {
  readonly subject: string;
  readonly contender: string;
  readonly firstMs: number;
  /** Each round's. */
  readonly turns: readonly Ran[];
  /** Largest difference of an output from the first contender's, relative to its largest value. */
  readonly difference: number;
}

// A network's rounding errors add up over its layers.
const NETWORK_BOUND = 1e-3;

const script = fileURLToPath(new URL('child.ts', import.meta.url));

const start = ({name, engine, threads, environment}: Contender) =>
  new ContenderProcess<Question>({name, script, arguments: [engine, String(threads)], environment});

export const nameOf = (subject: Subject) => ('layer' in subject ? subject.layer.name : subject.network);

/**
 * The same processes compute all the subjects.
 *
 * @returns The rows, and TensorFlow's version.
 * @throws Error if outputs differ by more than rounding: nothing is timed then.
 */
export async function measure(
  subjects: readonly Subject[],
  contenders: readonly Contender[],
  repetitions: number,
  tick: (what: string) => void,
): Promise<{rows: Row[]; tensorFlow?: string}> {
  const processes = contenders.map(start);
  try {
    const ready: Ready[] = [];
    for (const one of processes) ready.push(await one.answer<Ready>());
    const rows: Row[] = [];
    for (const subject of subjects) {
      const prepared: Prepared[] = [];
      for (const one of processes) prepared.push(await one.ask<Prepared>({prepare: subject}));
      const differences = prepared.map(({outputs}) => relativeDifference(prepared[0].outputs, outputs));
      differences.forEach((difference, i) => {
        const bound = 'layer' in subject ? roundingBound(subject.layer) : NETWORK_BOUND;
        if (difference <= bound) return;
        throw new Error(
          `${nameOf(subject)}: ${contenders[i].name} and ${contenders[0].name} differ by ${difference} of the largest ` +
            `output; rounding explains ${bound}.`,
        );
      });
      const turns = processes.map((): Ran[] => []);
      for (let repetition = 0; repetition < repetitions; ++repetition) {
        for (let place = 0; place < processes.length; ++place) {
          const i = (place + repetition) % processes.length;
          turns[i].push(await processes[i].ask<Ran>('run'));
        }
        tick(nameOf(subject));
      }
      contenders.forEach(({name}, i) => {
        rows.push({
          subject: nameOf(subject),
          contender: name,
          firstMs: prepared[i].firstMs,
          turns: turns[i],
          difference: differences[i],
        });
      });
    }
    return {rows, tensorFlow: ready.find((one) => one.tensorFlow !== undefined)?.tensorFlow};
  } finally {
    await Promise.all(processes.map((one) => one.stop()));
  }
}
