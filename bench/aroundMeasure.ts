// Times one recorded call by stock, by the library, and as a copy of as many bytes.
import {performance} from 'node:perf_hooks';
import * as tf from '@tensorflow/tfjs-core';
import type {Im2winRegistration} from 'tfjs-im2win';
import type {Heap} from '../src/wasm/heap.ts';
import {threadedName} from './contender.ts';
import {formatTensor, type KernelCall} from './recording.ts';
import {bytesMoved, type ReplayBackend, release, runCall, type Tensors, upload, valuesOf} from './replay.ts';
import {type Interval, medianInterval} from './statistics.ts';

/** A copy of the bytes that lie at `from`. */
export type Copy = (to: number, from: number, bytes: number) => void;

export interface AroundRow {
  readonly kernel: string;
  /** The shapes. */
  readonly call: string;
  readonly networks: KernelCall['networks'];
  /** Read and written; 0 of what makes no data. */
  readonly bytes: number;
  /** Of a call. Only an estimate where the call was too short to be measured. */
  readonly stockMicroseconds: number;
  /** Missing where the call was too short to be measured. */
  readonly measured?: {
    /** Stock's time over that of a copy; missing where no byte moves. */
    readonly stockOverCopy?: Interval;
    /** By what the library runs on; empty where the call is left to stock. */
    readonly ours: Readonly<Record<string, {readonly overStock: Interval; readonly ofCopy?: Interval}>>;
    /** Why the library leaves it to stock; missing where it has no such kernel. */
    readonly reason?: string;
  };
}

export interface Around {
  readonly backend: ReplayBackend;
  readonly heap: Heap;
  readonly copy: Copy;
  readonly registration?: Im2winRegistration;
  readonly threads: readonly number[];
  readonly repetitions: number;
  /** A call that takes stock less is not measured. */
  readonly overMicroseconds: number;
  /** tfjs's own kernel, from before the registration. */
  readonly stock: tf.KernelConfig;
}

interface Contender {
  readonly name: string;
  run(): void;
}

// A sample is as many calls as take this long, for the clock's sake.
const SAMPLE_MS = 0.5;
const MOST_CALLS = 50;
const ATTEMPTS = 5;
const WARM_CALLS = 50;
const WARM_MS = 5;

/** @throws Error if the library's output is not that of tfjs's cpu backend. */
export function measureCall(call: KernelCall, around: Around): AroundRow {
  const {backend, stock, overMicroseconds} = around;
  const values = valuesOf(call);
  const inputs = upload(call, values, backend);
  const runStock = () => release(runCall(stock, call, inputs, backend), backend);
  try {
    const outputs = runCall(stock, call, inputs, backend);
    const bytes = bytesMoved(call, inputs, outputs);
    release(outputs, backend);
    const stockMicroseconds = 1e3 * fastest(runStock);
    const row = {
      kernel: call.kernel,
      call: Object.values(call.inputs).map(formatTensor).join(' '),
      networks: call.networks,
      bytes,
      stockMicroseconds,
    };
    if (stockMicroseconds < overMicroseconds) return row;
    return measureRow(row, {call, inputs, values, runStock}, around);
  } finally {
    release(inputs, backend);
  }
}

interface Operands {
  readonly call: KernelCall;
  readonly inputs: Tensors;
  readonly values: Readonly<Record<string, tf.TypedArray>>;
  runStock(): void;
}

function measureRow(row: AroundRow, operands: Operands, around: Around): AroundRow {
  const {heap, copy, repetitions} = around;
  const {contenders: ours, reason} = ourContenders(operands, around);
  // As many bytes read as are written, in whole floats.
  const half = 4 * Math.ceil(row.bytes / 8);
  const room = heap.allocate(2 * half, 'what is copied');
  // Memory that nobody has written yet is one page of zeros, which is read from the caches.
  heap.float32().fill(1, room.offset / 4, (room.offset + 2 * half) / 4);
  const contenders: Contender[] = [{name: 'stock', run: operands.runStock}, ...ours];
  if (row.bytes > 0) contenders.push({name: 'copy', run: () => copy(room.offset + half, room.offset, half)});
  const times = interleave(contenders, repetitions);
  heap.free(room);
  const ratio = (a: string, b: string) => medianInterval(times[a].map((ms, i) => ms / times[b][i]));
  return {
    ...row,
    stockMicroseconds: 1e3 * medianInterval(times.stock).median,
    measured: {
      stockOverCopy: row.bytes > 0 ? ratio('stock', 'copy') : undefined,
      ours: Object.fromEntries(
        ours.map(({name}) => [
          name,
          {overStock: ratio('stock', name), ofCopy: row.bytes > 0 ? ratio('copy', name) : undefined},
        ]),
      ),
      reason,
    },
  };
}

/** The library's kernel on each number of threads, if it takes the call; its output is checked. */
function ourContenders(
  {call, inputs, values}: Operands,
  {backend, stock, registration, threads}: Around,
): {contenders: Contender[]; reason?: string} {
  const config = tf.getKernel(call.kernel, 'wasm');
  if (registration === undefined || config === stock) return {contenders: []};
  const before = callsByRecord(registration, call.kernel);
  const outputs = runCall(config, call, inputs, backend);
  const taken = [...callsByRecord(registration, call.kernel)].find(
    ([key, {calls}]) => calls > (before.get(key)?.calls ?? 0),
  );
  try {
    // A call that is in no record was left to stock before a route was looked for.
    if (taken === undefined) return {contenders: [], reason: 'stock is as fast'};
    if (taken[1].reason !== undefined) return {contenders: [], reason: taken[1].reason};
    checkOutputs(
      call,
      values,
      outputs.map(({dataId}) => backend.readSync(dataId)),
    );
  } finally {
    release(outputs, backend);
  }
  const contenders = threads.map((count) => ({
    name: threadedName('im2win', count),
    run: () => {
      if (threads.length > 1) registration.setNumThreads(count);
      release(runCall(config, call, inputs, backend), backend);
    },
  }));
  return {contenders};
}

function callsByRecord(registration: Im2winRegistration, kernel: string) {
  const records = new Map<string, {calls: number; reason?: string}>();
  for (const {calls, reason, ...record} of registration.report({all: true})) {
    if (record.kernelName === kernel) records.set(JSON.stringify([record, reason]), {calls, reason});
  }
  return records;
}

function checkOutputs(call: KernelCall, values: Operands['values'], got: readonly tf.TypedArray[]): void {
  const cpu = tf.findBackend('cpu') as unknown as ReplayBackend;
  const config = tf.getKernel(call.kernel, 'cpu') as tf.KernelConfig | undefined;
  // There is nothing to compare it with.
  if (config === undefined) return;
  const inputs = upload(call, values, cpu);
  const outputs = runCall(config, call, inputs, cpu);
  outputs.forEach(({dataId}, i) => {
    const difference = relativeDifference(cpu.readSync(dataId), got[i]);
    if (!(difference <= MOST_DIFFERENCE)) {
      const shapes = Object.values(call.inputs).map(formatTensor).join(' ');
      throw new Error(
        `${call.kernel} of ${shapes} differs from tfjs's cpu backend by ${difference} of its largest output.`,
      );
    }
  });
  release(outputs, cpu);
  release(inputs, cpu);
}

// Sums of some thousand products in another order, relative to the largest.
const MOST_DIFFERENCE = 1e-4;

/** The largest difference, relative to the largest value; NaN and the infinities are equal to themselves alone. */
export function relativeDifference(expected: ArrayLike<number>, got: ArrayLike<number>): number {
  if (expected.length !== got.length) return Number.POSITIVE_INFINITY;
  let scale = 0;
  let largest = 0;
  for (let i = 0; i < expected.length; ++i) {
    if (Number.isFinite(expected[i])) scale = Math.max(scale, Math.abs(expected[i]));
    if (Object.is(expected[i], got[i])) continue;
    const difference = Math.abs(expected[i] - got[i]);
    if (Number.isNaN(difference)) return Number.POSITIVE_INFINITY;
    largest = Math.max(largest, difference);
  }
  return scale > 0 ? largest / scale : largest;
}

/** The milliseconds of its fastest call, once V8 has compiled what it runs. */
function fastest(run: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  const end = performance.now() + WARM_MS;
  for (let calls = 0; calls < 3 || (calls < WARM_CALLS && performance.now() < end); ++calls) {
    least = Math.min(least, time(run, 1));
  }
  return least;
}

/** Milliseconds a call, of each in turn; the order rotates. */
function interleave(contenders: readonly Contender[], repetitions: number): Record<string, number[]> {
  const turns = contenders.map(({name, run}) => {
    const calls = Math.max(1, Math.min(MOST_CALLS, Math.ceil(SAMPLE_MS / fastest(run))));
    return {name, run, calls};
  });
  const times: Record<string, number[]> = Object.fromEntries(contenders.map(({name}) => [name, []]));
  for (let repetition = 0; repetition < repetitions; ++repetition) {
    for (let place = 0; place < turns.length; ++place) {
      const {name, run, calls} = turns[(place + repetition) % turns.length];
      // Untimed: its tensors come into the caches.
      run();
      times[name].push(time(run, calls));
    }
  }
  return times;
}

/** Milliseconds a call. A sample during which another process was given the core is taken again, a few times. */
function time(run: () => void, calls: number): number {
  let least = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < ATTEMPTS; ++attempt) {
    const before = process.resourceUsage().involuntaryContextSwitches;
    const start = performance.now();
    for (let call = 0; call < calls; ++call) run();
    least = Math.min(least, (performance.now() - start) / calls);
    if (process.resourceUsage().involuntaryContextSwitches === before) break;
  }
  return least;
}
