// Runs contenders in turn, each in its process, on one subject after the other.
import {type ChildProcess, fork} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {roundingBound} from '../measure.ts';
import {relativeDifference} from '../statistics.ts';
import type {Contender, Prepared, Question, Ran, Ready, Subject} from './subject.ts';

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

class Process {
  readonly contender: Contender;
  private readonly child: ChildProcess;

  constructor(contender: Contender) {
    this.contender = contender;
    const script = fileURLToPath(new URL('child.ts', import.meta.url));
    this.child = fork(script, [contender.engine, String(contender.threads)], {
      env: {...process.env, ...contender.environment},
      serialization: 'advanced',
      // What is said is for a person who looks for an error, and the table is for another program.
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
  }

  ready(): Promise<Ready> {
    return this.answer();
  }

  prepare(subject: Subject): Promise<Prepared> {
    return this.ask({prepare: subject});
  }

  run(): Promise<Ran> {
    return this.ask('run');
  }

  stop(): void {
    if (this.child.connected) this.child.send('stop' satisfies Question);
  }

  private ask<T>(question: Question): Promise<T> {
    this.child.send(question);
    return this.answer();
  }

  private answer<T>(): Promise<T> {
    const {child, contender} = this;
    return new Promise((resolve, reject) => {
      const ended = (code: number | null) =>
        reject(new Error(`The process of ${contender.name} has ended with code ${code}.`));
      child.once('exit', ended);
      child.once('message', (message) => {
        child.off('exit', ended);
        resolve(message as T);
      });
    });
  }
}

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
  const processes = contenders.map((contender) => new Process(contender));
  try {
    const ready: Ready[] = [];
    for (const one of processes) ready.push(await one.ready());
    const rows: Row[] = [];
    for (const subject of subjects) {
      const prepared: Prepared[] = [];
      for (const one of processes) prepared.push(await one.prepare(subject));
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
          turns[i].push(await processes[i].run());
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
    for (const one of processes) one.stop();
  }
}
