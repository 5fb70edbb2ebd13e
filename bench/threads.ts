// What threads are worth: what the machine allows, what a dispatch takes, what was measured, and what the times of
// single tasks let expect of more cores.
import {type ChildProcess, fork} from 'node:child_process';
import {once} from 'node:events';
import {writeFileSync} from 'node:fs';
import os from 'node:os';
import {performance} from 'node:perf_hooks';
import {fileURLToPath} from 'node:url';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-wasm';
import Table from 'cli-table3';
import {Command} from 'commander';
import {registerIm2win} from 'tfjs-im2win';
import type {TARGETS} from '../src/targets.generated.ts';
import {bestFlavour} from '../src/wasm/detect.ts';
import type {WasmState} from '../src/wasm/state.ts';
import {ARCHITECTURES, buildArchitecture} from './architectures.ts';
import {describeMachine, startBackend} from './bench.ts';
import {outputSize} from './contender.ts';
import {type LayerRunner, makeRunner, measureBandwidth, measureDispatch, poolOf} from './dispatch.ts';
import {type Layer, PAPER_LAYERS} from './layer.ts';
import {readLayers} from './layers.ts';
import {outputFile, repetitions, threadCounts} from './program.ts';
import {progressBar} from './progress.ts';
import {type DispatchCosts, simulate} from './schedule.ts';
import {geometricMean, type Interval, medianInterval} from './statistics.ts';
import {openState} from './wasmState.ts';

const SAMPLE_MS = 3;
// What a claim takes: an atomic subtraction of a word that another core has, and a call into wasm.
const CLAIM_MS = 0.0003;

/** A layer, and how often a network has it. */
interface Counted {
  readonly layer: Layer;
  readonly calls: number;
}

/** A layer as it is shared out to so many threads, and how many times as fast it would be. */
interface Model {
  readonly tasks: number;
  readonly stages: number;
  readonly speedup: number;
}

interface ThreadRow {
  readonly layer: string;
  readonly calls: number;
  readonly blocks: number;
  /** On one thread. */
  readonly milliseconds: number;
  /** How many times as fast on so many threads: measured, and by the model of the schedule. */
  readonly measured: Readonly<Record<number, Interval>>;
  readonly modelled: Readonly<Record<number, Model>>;
}

interface ThreadsResult {
  readonly machine: ReturnType<typeof describeMachine>;
  /** What two processes do together, over what one does alone: geometric mean over the twelve layers, of each round. */
  readonly limit: Interval;
  /** Milliseconds until another thread has taken part in a job: one that spins, and one that sleeps. */
  readonly dispatch: {readonly spinning: Interval; readonly asleep: Interval};
  /** Bytes a millisecond of a copy by one thread, and by all. */
  readonly bandwidths: readonly Interval[];
  readonly rows: readonly ThreadRow[];
}

/** What the machine's cores do together. */
async function measureLimit(rounds: number, tick: () => void): Promise<Interval> {
  const script = fileURLToPath(new URL('limitChild.ts', import.meta.url));
  const children = await Promise.all(
    [0, 1].map(async () => {
      const child = fork(script);
      child.send(PAPER_LAYERS);
      await once(child, 'message');
      return child;
    }),
  );
  const ask = async (child: ChildProcess): Promise<number[]> => {
    const answer = once(child, 'message');
    child.send('again');
    const [[rates]] = [await answer];
    return rates;
  };
  const limits: number[] = [];
  for (let round = 0; round < rounds; ++round) {
    const alone = await ask(children[round % 2]);
    const together = await Promise.all(children.map(ask));
    limits.push(geometricMean(alone.map((rate, i) => (together[0][i] + together[1][i]) / rate)));
    tick();
  }
  for (const child of children) child.kill();
  return medianInterval(limits);
}

async function measureLayer(
  state: WasmState,
  {layer, calls}: Counted,
  {
    threads,
    modelled,
    costs,
    bandwidth,
    reps,
  }: {
    threads: number[];
    modelled: number[];
    costs: DispatchCosts;
    bandwidth: (threads: number) => number;
    reps: number;
  },
): Promise<ThreadRow> {
  const bytes = bytesOf(layer);
  const pool = poolOf(state);
  pool.setThreads(1);
  const runner = makeRunner(state, flavour, layer);
  for (const count of threads) {
    pool.setThreads(count);
    runner.run();
  }
  const serial: number[] = [];
  const times = new Map(threads.map((count) => [count, [] as number[]]));
  const layouts = [1, ...modelled];
  const alone = layouts.map(() => [] as number[][]);
  for (let repetition = 0; repetition < reps; ++repetition) {
    pool.setThreads(1);
    serial.push(timeOf(runner.run));
    for (const count of threads) {
      pool.setThreads(count);
      times.get(count)?.push(timeOf(runner.run));
    }
    pool.setThreads(1);
    runner.run();
    for (const [m, count] of layouts.entries()) alone[m].push(timeTasks(runner, count));
  }
  const models = layouts.map((count, m) => {
    const {stages, release} = runner.tasksOn(count);
    release();
    const medians = alone[m][0].map((_, task) => medianInterval(alone[m].map((run) => run[task])).median);
    const parts = stages.map(([first, last]) => medians.slice(first, last));
    const milliseconds = Math.max(simulate(parts, count, costs), bytes / bandwidth(count));
    return {count, tasks: medians.length, stages: parts.length, milliseconds};
  });
  runner.release();
  const [onOne] = models;
  return {
    layer: layer.name,
    calls,
    blocks: runner.job.tasks.blocks,
    milliseconds: medianInterval(serial).median,
    measured: Object.fromEntries(
      threads.map((count) => [
        count,
        medianInterval((times.get(count) ?? []).map((ms, i) => serial[i] / ms)),
      ]),
    ),
    modelled: Object.fromEntries(
      models
        .slice(1)
        .map((model) => [
          model.count,
          {tasks: model.tasks, stages: model.stages, speedup: onOne.milliseconds / model.milliseconds},
        ]),
    ),
  };
}

/** The bytes of a layer's tensors, each of which is read or written at least once. */
function bytesOf({xShape, filterShape, ...layer}: Layer): number {
  const {outShape} = outputSize({xShape, filterShape, ...layer});
  const floats = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
  return 4 * (floats(xShape) + floats(filterShape) + floats(outShape));
}

/** Milliseconds of each task alone, as they are for so many threads. */
function timeTasks(runner: LayerRunner, threads: number): number[] {
  const {stages, run, release} = runner.tasksOn(threads);
  const times: number[] = [];
  for (let task = 0; task < stages[stages.length - 1][1]; ++task) {
    const start = performance.now();
    run(task);
    times.push(performance.now() - start);
  }
  release();
  return times;
}

/** Milliseconds of a run: as many as take some milliseconds. */
function timeOf(run: () => void): number {
  run();
  const start = performance.now();
  let runs = 0;
  do {
    run();
    ++runs;
  } while (performance.now() - start < SAMPLE_MS);
  return (performance.now() - start) / runs;
}

/** The convolutions of a network, each once. */
async function layersOf(name: keyof typeof ARCHITECTURES): Promise<Counted[]> {
  const registration = await registerIm2win({numThreads: 1});
  const {network, x} = buildArchitecture(name);
  tf.dispose(network.predict(x));
  const counted = registration.report().map(
    ({kernelName, calls, ...record}): Counted => ({
      calls,
      layer: {
        name: `${record.xShape[3]}×${record.xShape[1]}² ${record.filterShape[0]}×${record.filterShape[1]}/${record.strides[0]} → ${record.filterShape[3]}`,
        kernelName: kernelName as Layer['kernelName'],
        xShape: record.xShape as Layer['xShape'],
        filterShape: record.filterShape as Layer['filterShape'],
        strides: record.strides,
        dilations: record.dilations,
        pad: record.pad as Layer['pad'],
        activation: 'linear',
        bias: false,
      },
    }),
  );
  registration.unregister();
  tf.dispose(x);
  network.dispose();
  return counted;
}

/** How many times as fast a network's convolutions are, each as often as it has it. */
function ofNetwork(rows: readonly ThreadRow[], speedup: (row: ThreadRow) => number): number {
  const sum = (of: (row: ThreadRow) => number) => rows.reduce((total, row) => total + row.calls * of(row), 0);
  return sum(({milliseconds}) => milliseconds) / sum((row) => row.milliseconds / speedup(row));
}

function print(
  {limit, dispatch, bandwidths, rows, machine}: ThreadsResult,
  threads: number[],
  modelled: number[],
): string {
  const table = new Table({
    head: [
      'layer',
      'calls',
      'blocks',
      'ms on 1',
      ...threads.flatMap((count) => [`× on ${count}`, '95 %', 'of limit']),
      ...modelled.map((count) => `model, ${count}`),
    ],
    colAligns: ['left', ...Array(3 + 3 * threads.length + modelled.length).fill('right')],
    style: {head: [], border: [], compact: true},
  });
  for (const row of rows) {
    table.push([
      row.layer,
      row.calls,
      row.blocks,
      row.milliseconds.toFixed(3),
      ...threads.flatMap((count) => {
        const {median, low, high} = row.measured[count];
        return [
          median.toFixed(2),
          `${low.toFixed(2)}–${high.toFixed(2)}`,
          count === 2 ? (median / limit.median).toFixed(2) : '',
        ];
      }),
      ...modelled.map((count) => row.modelled[count].speedup.toFixed(2)),
    ]);
  }
  const summary = (name: string, of: (row: ThreadRow) => number) =>
    `${name.padEnd(22)}geometric mean ${geometricMean(rows.map(of)).toFixed(2)}, least ${Math.min(...rows.map(of)).toFixed(2)}, ` +
    `all convolutions together ${ofNetwork(rows, of).toFixed(2)}`;
  const microseconds = ({median, low, high}: Interval) =>
    `${(1000 * median).toFixed(1)} µs (${(1000 * low).toFixed(1)}–${(1000 * high).toFixed(1)})`;
  return [
    table.toString(),
    ...threads.map((count) => summary(`measured on ${count}:`, (row) => row.measured[count].median)),
    ...modelled.map((count) => summary(`model for ${count}:`, (row) => row.modelled[count].speedup)),
    `limit: two processes do ${limit.median.toFixed(2)} times what one does (${limit.low.toFixed(2)}–${limit.high.toFixed(2)})`,
    `dispatch: ${microseconds(dispatch.spinning)} to a thread that spins, ${microseconds(dispatch.asleep)} to one that sleeps`,
    `memory: ${bandwidths.map(({median}) => (median / 1e6).toFixed(1)).join(' GB/s of one thread, ')} GB/s of all`,
    'The model takes each task as long as it was alone, and no layer less than its tensors take in memory: it knows of no cache or clock that cores share.',
    `${machine.cpu}, ${machine.engine}, tfjs ${machine.tfjs}, ${machine.date}`,
  ].join('\n');
}

interface Options {
  layers: string;
  threads: number[];
  model: number[];
  reps: number;
  rounds: number;
  json?: string;
}

async function main({layers: source, threads, model, reps, rounds, json}: Options): Promise<void> {
  await startBackend('wasm', Math.max(...threads));
  const network = Object.keys(ARCHITECTURES).find((name) => name === source) as
    | keyof typeof ARCHITECTURES
    | undefined;
  const counted =
    network === undefined ? readLayers(source).map((layer) => ({layer, calls: 1})) : await layersOf(network);
  const bar = progressBar('{what}');
  bar.start(rounds + 1 + counted.length, 0, {what: 'what the machine allows'});
  const limit = await measureLimit(rounds, () => bar.increment());
  bar.update({what: 'dispatch'});
  const state = await openState(flavour, {
    numThreads: Math.max(...threads),
    dispatch: 'always',
  });
  const dispatch = await measureDispatch(state, flavour, 10 * reps);
  bar.increment();
  const most = Math.max(...threads);
  const bandwidths = [1, most].map((count) => measureBandwidth(state, count, reps));
  // Cores beyond those that there are here are taken to add nothing.
  const bandwidth = (count: number) => bandwidths[count === 1 ? 0 : 1].median;
  const costs = {start: Math.max(0, dispatch.spinning.median), claim: CLAIM_MS};
  const rows: ThreadRow[] = [];
  for (const one of counted) {
    bar.increment({what: one.layer.name});
    rows.push(await measureLayer(state, one, {threads, modelled: model, costs, bandwidth, reps}));
  }
  bar.stop();
  state.release();
  const result: ThreadsResult = {machine: describeMachine(), limit, dispatch, bandwidths, rows};
  const text = `${JSON.stringify(result, undefined, 2)}\n`;
  if (json === '-') process.stdout.write(text);
  else console.log(print(result, threads, model));
  if (json !== undefined && json !== '-') writeFileSync(json, text);
}

const flavour = bestFlavour() as keyof typeof TARGETS & ('relaxed' | 'strict');
const cores = os.availableParallelism();

await new Command('npm run bench:threads --')
  .description(
    'Times im2win on one thread and on several, beside what the machine allows, and models more of them.',
  )
  .option(
    '--layers <source>',
    `'paper', 'corpus', 'depthwise', a file, or a network: ${Object.keys(ARCHITECTURES).join(', ')}`,
    'paper',
  )
  .option('--threads <counts>', 'comma-separated', threadCounts, [Math.max(2, Math.min(8, cores))])
  .option('--model <counts>', 'comma-separated', threadCounts, [2, 4, 8])
  .option('--reps <n>', 'repetitions', repetitions, 15)
  .option('--rounds <n>', 'of measuring what the machine allows', repetitions, 7)
  .option('--json <file>', "write the figures as JSON; '-' prints them instead of the table", outputFile)
  .action(main)
  .parseAsync()
  .catch((error: Error) => {
    console.error(`error: ${error.message}`);
    process.exitCode = 1;
  });
