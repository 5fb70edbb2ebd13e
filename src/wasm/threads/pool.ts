import {TASK_KERNELS, type TaskKernel} from '../entries.generated.ts';
import type {KernelExports} from '../module.ts';
import {CALLER_SPIN_MS, CONTROL, CONTROL_BYTES, SPIN_MS, STATE, THREAD, THREAD_WORDS} from './control.ts';
import {type RunningWorker, startWorker, type WorkerUrl} from './worker.ts';

/** Tasks that may run in any order, or at the same time. */
export interface Stage {
  readonly kernel: TaskKernel;
  /** The job's byte offset. */
  readonly job: number;
  /** The tasks: from `first` to `last`, less one. */
  readonly first: number;
  readonly last: number;
  /** Tasks that are claimed at a time; 1 if left out. */
  readonly grain?: number;
  /** What the job is expected to take, in steps. */
  readonly cost: number;
  /** The byte offset of the caller's scratch; thread t's is t · `scratchBytes` behind it. */
  readonly scratch: number;
  readonly scratchBytes: number;
}

/** What a pool computes on. */
export interface PoolSite {
  readonly kernels: KernelExports;
  /** Shared. */
  readonly memory: WebAssembly.Memory;
  /** Called when a worker did not come back from a task, into whose memory it may still write. */
  onLost(): void;
  /** Called when all workers have ended. */
  onEnded(): void;
}

/** What a job is to take at least, in steps, to be handed to workers that spin, and to such as sleep. */
export interface Dispatch {
  readonly spinning: number;
  readonly asleep: number;
}

export interface PoolOptions {
  /** The most threads, the caller among them. */
  readonly numThreads: number;
  /** The kernels, for a shared memory. */
  readonly module: WebAssembly.Module;
  /** `'always'` hands every job out that has several tasks, whatever it takes. */
  readonly dispatch: Dispatch | 'always';
  readonly workerUrl?: WorkerUrl;
  /** How long the caller waits for a claimed task while none is finished, in milliseconds. */
  readonly patienceMs?: number;
}

const PATIENCE_MS = 10_000;
/** What of the time saved counts when the next stage is done. */
const REMEMBERED = 0.9;
const LEAST_ALONE = 1;
const MOST_ALONE = 8;

/**
 * The threads of one instance of tfjs's backend. The calling thread computes tasks like the others, and waits for
 * those alone that others have claimed, so that a worker that does not wake costs nothing but time. Tasks are claimed
 * by one atomic subtraction. Workers are started by the first stage that is to run on several threads; they spin for
 * `SPIN_MS` after their last task, and then sleep.
 */
export class Pool {
  /** Threads that are to take part, the caller among them. */
  private limit: number;
  private readonly control = new Int32Array(new SharedArrayBuffer(CONTROL_BYTES));
  private readonly mayBlock: boolean;
  private readonly site: PoolSite;
  private readonly options: PoolOptions;
  private readonly patienceMs: number;
  private workers: (RunningWorker | undefined)[] = [];
  private failure: string | undefined;
  private started = false;
  private startTime = 0;
  /** Workers that are not known to have ended. */
  private unended = 0;
  /** When a job was last too small to wake a worker; and the cost of those that followed each other. */
  private lastSmall = 0;
  private missed = 0;
  private wakesSleepers = false;
  /** Jobs that the caller computes alone before it asks others again, because they came too late; and the last number of these. */
  private alone = 0;
  private lastAlone = 0;
  /** Milliseconds that threads have saved, the last stages above all. */
  private gained = 0;

  constructor(site: PoolSite, options: PoolOptions) {
    this.site = site;
    this.options = options;
    this.limit = options.numThreads;
    this.patienceMs = options.patienceMs ?? PATIENCE_MS;
    this.mayBlock = canBlock(this.control);
  }

  get most(): number {
    return this.options.numThreads;
  }

  /** The threads that compute what pays: the caller, and the workers that have begun, or are about to. */
  get threads(): number {
    if (!this.started) return this.limit;
    const early = performance.now() - this.startTime < this.patienceMs;
    const there = this.workers.filter(
      (worker, thread) => worker !== undefined && (early || this.hasBegun(thread)),
    );
    return Math.min(this.limit, 1 + there.length);
  }

  /** Why nothing but the calling thread computes, where others should. */
  get reason(): string | undefined {
    if (this.failure !== undefined || this.limit === 1 || this.threads > 1) return this.failure;
    return (
      `no worker has begun within ${this.patienceMs / 1000} s: a page must return to its event loop for that, ` +
      'and a host may have no more to give'
    );
  }

  /** From the next stage on; at most as many as the pool was made for. */
  setThreads(threads: number): void {
    this.limit = Math.min(threads, this.most);
  }

  /**
   * The threads that a job is to run on, the caller among them. Starts the workers, if they are not yet. Where it is not
   * 1 there must be a scratch for each thread of the pool: one that was woken for an earlier stage, before there were to
   * be fewer, may come only now.
   *
   * @param tasks Those that may run at the same time.
   * @param cost Of the job, in steps.
   */
  threadsFor(tasks: number, cost: number): number {
    if (this.limit === 1 || tasks < 2 || this.failure !== undefined) return 1;
    if (!this.pays(cost)) return 1;
    if (!this.started) this.start();
    return this.limit;
  }

  private pays(cost: number): boolean {
    const {dispatch} = this.options;
    if (dispatch === 'always') return true;
    const {spinning, asleep} = dispatch;
    if (cost < spinning || (cost < asleep && !this.isAnyAwake() && !this.isWorthWaking(cost, asleep)))
      return false;
    if (this.alone === 0) return true;
    --this.alone;
    return false;
  }

  /**
   * Computes all tasks of a stage.
   *
   * @throws Error if a task failed, or a worker did not come back from one; what the stage was to write is unfinished
   *     then.
   */
  run({kernel, job, first, last, grain = 1, cost, scratch, scratchBytes}: Stage): void {
    const {control} = this;
    const claims = Math.ceil((last - first) / grain);
    control[CONTROL.kernel] = TASK_KERNELS.indexOf(kernel);
    control[CONTROL.job] = job;
    control[CONTROL.first] = first;
    control[CONTROL.last] = last;
    control[CONTROL.grain] = grain;
    control[CONTROL.claims] = claims;
    control[CONTROL.scratch] = scratch;
    control[CONTROL.scratchBytes] = scratchBytes;
    control[CONTROL.failed] = 0;
    Atomics.store(control, CONTROL.done, 0);
    Atomics.store(control, CONTROL.unclaimed, claims);
    const {dispatch} = this.options;
    this.wake(
      Math.min(this.limit, claims) - 1,
      this.wakesSleepers || dispatch === 'always' || cost >= dispatch.asleep,
    );
    this.wakesSleepers = false;
    const compute = this.site.kernels[kernel];
    const start = performance.now();
    let end = start;
    let own = 0;
    let left = 0;
    try {
      for (;;) {
        left = Atomics.sub(control, CONTROL.unclaimed, 1);
        if (left <= 0) break;
        ++own;
        const from = first + (claims - left) * grain;
        compute(job, from, Math.min(from + grain, last), scratch);
      }
    } finally {
      const nobodys = left <= 0 ? 0 : Math.max(0, Atomics.exchange(control, CONTROL.unclaimed, 0));
      end = performance.now();
      this.waitFor(claims - own - nobodys);
    }
    // Where others had claimed everything, nothing is known of what the caller would have taken.
    if (own > 0) this.judge((end - start) * (claims / own), performance.now() - start);
    if (control[CONTROL.failed] !== 0) {
      throw new Error(`im2win: a task of ${kernel} failed in a worker; its result is not complete.`);
    }
  }

  /**
   * On a machine whose cores have other things to do, a worker may lose its core in the middle of a task. Once the last
   * stages have taken longer, all in all, than the caller would have alone, it does the next jobs alone; more of them
   * each time.
   */
  private judge(alone: number, together: number): void {
    this.gained = REMEMBERED * this.gained + alone - together;
    if (this.gained < 0) {
      this.gained = 0;
      this.lastAlone = Math.min(MOST_ALONE, Math.max(LEAST_ALONE, 2 * this.lastAlone));
      this.alone = this.lastAlone;
    } else {
      this.lastAlone >>= 1;
    }
  }

  /** Ends the workers. The pool computes nothing more. */
  stop(): void {
    this.started = true;
    this.limit = 1;
    for (let thread = 1; thread < this.most; ++thread) {
      const wake = wordOf(thread) + THREAD.wake;
      Atomics.store(this.control, wake, -1);
      Atomics.notify(this.control, wake);
    }
    for (const worker of this.workers) worker?.terminate();
    this.workers = [];
  }

  private start(): void {
    this.started = true;
    this.startTime = performance.now();
    const {module, workerUrl} = this.options;
    const {memory, onEnded} = this.site;
    for (let thread = 1; thread < this.most; ++thread) {
      try {
        const data = {control: this.control, module, memory, thread};
        this.workers[thread] = startWorker(data, workerUrl, {
          failed: (reason) => this.leaveOut(thread, reason),
          ended: () => {
            this.leaveOut(thread, 'the workers have ended');
            if (--this.unended === 0) onEnded();
          },
        });
        ++this.unended;
      } catch (error) {
        this.failure = `no worker can be started here: ${(error as Error).message}`;
        return;
      }
    }
  }

  private leaveOut(thread: number, reason: string): void {
    if (this.workers[thread] === undefined) return;
    this.workers[thread] = undefined;
    Atomics.store(this.control, wordOf(thread) + THREAD.state, STATE.absent);
    if (this.workers.every((worker) => worker === undefined)) this.failure ??= reason;
  }

  private hasBegun(thread: number): boolean {
    return Atomics.load(this.control, wordOf(thread) + THREAD.state) !== STATE.absent;
  }

  /**
   * One small job is done before a sleeping worker has come. Where such jobs follow each other closely, workers that are
   * woken for one will find the next: they are once these have cost what waking does.
   */
  private isWorthWaking(cost: number, asleep: number): boolean {
    const now = performance.now();
    if (now - this.lastSmall > SPIN_MS) this.missed = 0;
    this.lastSmall = now;
    this.missed += cost;
    this.wakesSleepers = this.missed >= asleep;
    if (this.wakesSleepers) this.missed = 0;
    return this.wakesSleepers;
  }

  private isAnyAwake(): boolean {
    for (let thread = 1; thread < this.limit; ++thread) {
      if (Atomics.load(this.control, wordOf(thread) + THREAD.state) === STATE.awake) return true;
    }
    return false;
  }

  /** Has so many workers look for tasks: of those that spin, or also of those that sleep. */
  private wake(count: number, sleepers: boolean): void {
    const {control} = this;
    for (let thread = 1, woken = 0; thread < this.limit && woken < count; ++thread) {
      const own = wordOf(thread);
      const state = Atomics.load(control, own + THREAD.state);
      if (state === STATE.absent || (state === STATE.asleep && !sleepers)) continue;
      // Never below 0, which asks to leave.
      Atomics.store(control, own + THREAD.wake, (control[own + THREAD.wake] + 1) & 0x7fffffff);
      if (Atomics.load(control, own + THREAD.state) === STATE.asleep)
        Atomics.notify(control, own + THREAD.wake);
      ++woken;
    }
  }

  /** Waits until so many claimed tasks are done. */
  private waitFor(count: number): void {
    const {control} = this;
    if (this.spin(count)) return;
    let seen = Atomics.load(control, CONTROL.done);
    let since = performance.now();
    while (seen !== count) {
      if (this.mayBlock) this.sleep(seen);
      else this.spin(count);
      const now = Atomics.load(control, CONTROL.done);
      if (now !== seen) since = performance.now();
      else if (performance.now() - since > this.patienceMs) this.giveUp();
      seen = now;
    }
  }

  private spin(count: number): boolean {
    const until = performance.now() + CALLER_SPIN_MS;
    do {
      for (let i = 0; i < 32; ++i) {
        if (Atomics.load(this.control, CONTROL.done) === count) return true;
        pause();
      }
    } while (performance.now() < until);
    return false;
  }

  private sleep(seen: number): void {
    Atomics.store(this.control, CONTROL.callerSleeps, 1);
    Atomics.wait(this.control, CONTROL.done, seen, this.patienceMs);
    Atomics.store(this.control, CONTROL.callerSleeps, 0);
  }

  /** @throws Error always. */
  private giveUp(): never {
    this.failure = `a worker did not come back from a task within ${this.patienceMs / 1000} s`;
    this.site.onLost();
    this.stop();
    throw new Error(`im2win: ${this.failure}; from now on one thread computes.`);
  }
}

function wordOf(thread: number): number {
  return CONTROL.threads + THREAD_WORDS * thread;
}

/** Whether this thread may wait for others asleep: a page's own may not. */
function canBlock(control: Int32Array<SharedArrayBuffer>): boolean {
  try {
    Atomics.wait(control, CONTROL.done, 1);
    return true;
  } catch {
    return false;
  }
}

const pause: () => void = (Atomics as {pause?(): void}).pause ?? (() => {});
