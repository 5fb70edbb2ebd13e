// A layer's job on a pool of threads, and what handing it out takes.
import {performance} from 'node:perf_hooks';
import * as tf from '@tensorflow/tfjs-core';
import {memoryTasks} from '../src/memoryTasks.ts';
import {copyAll} from '../src/move.ts';
import type {Flavour} from '../src/plan.ts';
import {planOurs} from '../src/planner.ts';
import type {SharedOut} from '../src/tasks.ts';
import {runConv2d} from '../src/wasm/conv2d.ts';
import {ConvJob} from '../src/wasm/job.ts';
import {MOVE_RECORD} from '../src/wasm/moveJob.ts';
import type {WasmState} from '../src/wasm/state.ts';
import {geometryOf} from './geometry.ts';
import {isDepthwise, type Layer, PAPER_LAYERS} from './layer.ts';
import {type Interval, medianInterval} from './statistics.ts';

const WORKERS_START_MS = 150;

export interface SingleTasks {
  readonly stages: SharedOut['stages'];
  run(task: number): void;
  release(): void;
}

export interface LayerRunner {
  readonly job: ConvJob;
  run(): void;
  /** The tasks as they are shared out to so many threads, to be computed one by one in their order. */
  tasksOn(threads: number): SingleTasks;
  release(): void;
}

/** A layer, to be computed whole or task by task. */
export function makeRunner(state: WasmState, flavour: Flavour, layer: Layer): LayerRunner {
  const geometry = geometryOf(layer);
  const depthwise = isDepthwise(layer);
  const plan = planOurs(geometry, {target: flavour, algorithm: 'auto', winograd: !depthwise});
  const spec = {geometry, plan, activation: 'linear'} as const;
  const [job] = state.jobs.get(spec, 1, (_, at) => new ConvJob(state.heap, at, spec));
  const x = tf.randomUniform([...layer.xShape], -1, 1);
  const filter = tf.randomUniform([...layer.filterShape], -1, 1);
  const run = () => runConv2d(state, job, {x, filter, alpha: 0});
  let last = run();
  return {
    job,
    run() {
      state.backend.disposeData(last.dataId, true);
      last = run();
    },
    // The record still has the other offsets of the last call.
    tasksOn(threads) {
      job.shareOut(threads);
      const {stages, sharedBytes} = job.shared;
      const room = state.heap.allocate(job.scratchBytes + sharedBytes, 'a scratch');
      job.set('gathered', room.offset + job.scratchBytes);
      return {
        stages,
        run: (task) => state.kernels.im2win_conv(job.offset, task, task + 1, room.offset),
        release: () => state.heap.free(room),
      };
    },
    release() {
      state.backend.disposeData(last.dataId, true);
      state.jobs.forget(spec);
      tf.dispose([x, filter]);
    },
  };
}

/**
 * What a job of two equal tasks takes on two threads beyond half of its time: workers that spin, and that sleep; in milliseconds. The state has
 * a pool that hands out every job.
 */
export async function measureDispatch(
  state: WasmState,
  flavour: Flavour,
  repetitions: number,
): Promise<{spinning: Interval; asleep: Interval}> {
  const layer: Layer = {
    ...PAPER_LAYERS[0],
    xShape: [1, 16, 16, 64],
    filterShape: [1, 1, 64, 64],
    strides: [1, 1],
  };
  const runner = makeRunner(state, flavour, layer);
  const pool = poolOf(state);
  pool.setThreads(2);
  runner.run();
  await sleep(WORKERS_START_MS);
  const time = (prepare: () => void, threads: number) => {
    pool.setThreads(threads);
    prepare();
    const start = performance.now();
    runner.run();
    return performance.now() - start;
  };
  const latencies = {spinning: [] as number[], asleep: [] as number[]};
  for (let repetition = 0; repetition < repetitions; ++repetition) {
    const alone = time(runner.run, 1);
    latencies.spinning.push(time(runner.run, 2) - alone / 2);
    latencies.asleep.push(time(() => busy(1), 2) - alone / 2);
  }
  runner.release();
  return {spinning: medianInterval(latencies.spinning), asleep: medianInterval(latencies.asleep)};
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function busy(ms: number): void {
  const start = performance.now();
  while (performance.now() - start < ms);
}

export function poolOf({pool}: WasmState) {
  if (pool === undefined) throw new Error('There is no pool of threads on this machine.');
  return pool;
}

const COPIED_BYTES = 2 ** 26;

/** Bytes that so many threads read and write in a millisecond, together, of a copy that no cache holds. */
export function measureBandwidth(state: WasmState, threads: number, repetitions: number): Interval {
  const {heap} = state;
  poolOf(state).setThreads(threads);
  const {tasks, cost} = memoryTasks(COPIED_BYTES);
  const work = {record: 'move', move: copyAll(COPIED_BYTES)} as const;
  const record = heap.allocate(MOVE_RECORD.bytes(work), 'a record');
  const room = heap.allocate(2 * COPIED_BYTES, 'what is copied');
  const job = MOVE_RECORD.create(heap, record.offset, work, tasks);
  job.inputs[0] = room.offset;
  job.outputs[0] = room.offset + COPIED_BYTES;
  job.patch(heap.int32());
  const stage = {
    kernel: MOVE_RECORD.entry,
    job: record.offset,
    first: 0,
    last: tasks,
    cost,
  } as const;
  const rates: number[] = [];
  for (let repetition = 0; repetition < repetitions; ++repetition) {
    const start = performance.now();
    state.run(threads, {...stage, scratch: 0, scratchBytes: 0});
    rates.push((2 * COPIED_BYTES) / (performance.now() - start));
  }
  heap.free(room);
  heap.free(record);
  return medianInterval(rates);
}
