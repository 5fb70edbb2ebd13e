// Workers, and the files that wait for one. A worker that fails, or takes too long, is replaced: that one file is
// lost, and said to be.
import {once} from 'node:events';
import {setTimeout} from 'node:timers/promises';
import {Worker} from 'node:worker_threads';
import type {Description} from './network.ts';
import {Refusal} from './refusal.ts';
import type {Answer, Ready, Upscaled, WorkerSetup} from './worker.ts';

export interface PoolOptions extends WorkerSetup {
  readonly workers: number;
  /** Longest that a worker may take for one file. */
  readonly timeoutMs: number;
  /** Told why a worker is being replaced. */
  onReplaced(reason: Error): void;
  /** Told that no worker could be started in the place of one: the pool is of no use any more. */
  onFailed(reason: Error): void;
}

interface Job {
  readonly file: Uint8Array;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  resolve(upscaled: Upscaled): void;
  reject(error: Error): void;
}

interface Running {
  readonly worker: Worker;
  readonly description: Description;
  /** Rejects when the worker has ended. */
  readonly ended: Promise<never>;
}

export class Pool {
  readonly description: Description;
  private readonly options: PoolOptions;
  private readonly jobs: Job[] = [];
  /** Workers without work; each is called with a job, or with none when the pool is closed. */
  private readonly idle: ((job?: Job) => void)[] = [];
  private readonly loops: Promise<void>[];
  private closed = false;

  /** @throws Error if a worker cannot start. */
  static async start(options: PoolOptions): Promise<Pool> {
    // One after the other: they do not share a core while they warm up.
    const running: Running[] = [];
    for (let i = 0; i < options.workers; ++i) running.push(await start(options));
    return new Pool(options, running);
  }

  private constructor(options: PoolOptions, running: readonly Running[]) {
    this.options = options;
    this.description = running[0].description;
    this.loops = running.map((one) => this.loop(one));
  }

  /** How many files wait for a worker. */
  get waiting(): number {
    return this.jobs.length;
  }

  /**
   * @throws Refusal if the file is not a picture that is taken.
   * @throws Error if the worker has failed.
   */
  run(file: Uint8Array, signal: AbortSignal): Promise<Upscaled> {
    return new Promise((resolve, reject) => {
      const job = {file, signal, resolve, reject};
      const next = this.idle.shift();
      if (next) next(job);
      else this.jobs.push(job);
    });
  }

  /** Once what waits is done, ends the workers. */
  async close(): Promise<void> {
    this.closed = true;
    for (const next of this.idle.splice(0)) next();
    await Promise.all(this.loops);
  }

  private async loop(first: Running): Promise<void> {
    let running = first;
    for (let job = await this.next(); job !== undefined; job = await this.next()) {
      try {
        const answer = await this.ask(running, job.file);
        if ('refused' in answer) job.reject(new Refusal(answer.refused, answer.message));
        else job.resolve(answer);
      } catch (error) {
        job.reject(error as Error);
        this.options.onReplaced(error as Error);
        await running.worker.terminate();
        try {
          running = await start(this.options);
        } catch (reason) {
          this.options.onFailed(reason as Error);
          return;
        }
      }
    }
    await running.worker.terminate();
  }

  private async next(): Promise<Job | undefined> {
    for (let job = this.jobs.shift(); job !== undefined; job = this.jobs.shift()) {
      if (!job.signal.aborted) return job;
      job.reject(new Refusal(499, 'The client has gone.'));
    }
    if (this.closed) return undefined;
    return new Promise((resolve) => this.idle.push(resolve));
  }

  private async ask({worker, ended}: Running, file: Uint8Array): Promise<Answer> {
    const {timeoutMs} = this.options;
    const answered = new AbortController();
    const {signal} = answered;
    const late = async () => {
      await setTimeout(timeoutMs, undefined, {signal});
      throw new Refusal(504, `The picture took longer than ${timeoutMs / 1000} s.`);
    };
    try {
      worker.postMessage(file);
      const [answer] = await Promise.race([once(worker, 'message', {signal}), ended, late()]);
      return answer;
    } finally {
      answered.abort();
    }
  }
}

async function start({kernels, threads, mostPixels}: WorkerSetup): Promise<Running> {
  const workerData: WorkerSetup = {kernels, threads, mostPixels};
  const worker = new Worker(new URL('worker.ts', import.meta.url), {workerData});
  const ended = new Promise<never>((_, reject) => {
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`The worker has ended with code ${code}.`)));
  });
  // Nobody may be asking when it ends.
  ended.catch(() => {});
  const [ready] = await Promise.race([once(worker, 'message'), ended]);
  return {worker, description: (ready as Ready).description, ended};
}
