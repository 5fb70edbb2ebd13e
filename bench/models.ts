// Whole networks by stock tfjs and by im2win: first run and heap growth in fresh
// processes, then interleaved runs in one.
import {execFile} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import {performance} from 'node:perf_hooks';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import {SingleBar} from 'cli-progress';
import Table from 'cli-table3';
import {program} from 'commander';
import {registerIm2win} from 'tfjs-im2win';
import {type OptimizableModel, optimizeModel} from 'tfjs-im2win/optimize';
import {defaultThreads} from '../src/wasm/threads/cores.ts';
import {describeMachine, startBackend} from './bench.ts';
import {threadedName} from './contender.ts';
import type {FirstRun} from './modelFirstRun.ts';
import type {LoadedNetwork} from './network.ts';
import {NETWORKS} from './networks.ts';
import {outputFile, repetitions, threadCounts} from './program.ts';
import {geometricMean, type Interval, medianInterval, relativeDifference} from './statistics.ts';

// In the first ten runs or so V8 still compiles what runs often, tfjs's code as well.
const WARM_RUNS = 15;
const WARM_MILLISECONDS = 3000;

/** Stock, or im2win on so many threads. */
interface Contender {
  readonly name: string;
  readonly threads?: number;
  /** Whether the model runs as `optimizeModel` has left it. */
  readonly optimized?: true;
}

/** By the contenders' names. */
type Each<T> = Record<string, T>;

interface ModelRow {
  readonly network: string;
  readonly first: Each<FirstRun>;
  readonly milliseconds: Each<{median: number; min: number}>;
  /** How many times as fast as stock; stock's own is left out. */
  readonly speedup: Each<Interval>;
  /** Their share of the time, by tfjs's profiler. */
  readonly convolutionShare: Each<number>;
  /**
   * Largest difference of an output, relative to its largest value: from stock's, and of an optimized model from the
   * model's own. Stock's own is left out.
   */
  readonly difference: Each<number>;
  /** Distinct convolutions, by the algorithm that was taken. */
  readonly convolutions: Record<string, number>;
}

const options = program
  .name('npm run bench:models --')
  .description('Times whole networks by stock tfjs-backend-wasm and by im2win.')
  .option('--networks <names>', 'comma-separated parts of names; all networks if left out', (text) =>
    text.split(','),
  )
  .option('--threads <counts>', 'comma-separated: how many threads im2win runs on, in turn', threadCounts, [
    ...new Set([1, defaultThreads()]),
  ])
  .option('--optimize', 'also time the networks as optimizeModel leaves them, but for the first run', false)
  .option('--reps <n>', 'interleaved repetitions', repetitions, 15)
  .option('--json <file>', "write the figures as JSON; '-' prints them instead of the table", outputFile)
  .parse()
  .opts<{networks?: string[]; threads: number[]; optimize: boolean; reps: number; json?: string}>();

const CONTENDERS: readonly Contender[] = [
  {name: 'stock'},
  ...options.threads.map((threads) => ({name: threadedName('im2win', threads), threads})),
];
/** Those of networks that are models of tfjs's. */
const OPTIMIZED: readonly Contender[] = options.optimize
  ? options.threads.map((threads) => ({name: threadedName('optimized', threads), threads, optimized: true}))
  : [];

const mostThreads = Math.max(...options.threads);

const matches = (name: string, part: string) => name.toLowerCase().includes(part.toLowerCase());
for (const part of options.networks ?? []) {
  if (part === '' || !Object.keys(NETWORKS).some((name) => matches(name, part))) {
    program.error(`error: --networks: '${part}' is in none of ${Object.keys(NETWORKS).join(', ')}`);
  }
}
const names = Object.keys(NETWORKS).filter(
  (name) => options.networks === undefined || options.networks.some((part) => matches(name, part)),
);

async function firstRun(name: string, {threads}: Contender): Promise<FirstRun> {
  const script = fileURLToPath(new URL('modelFirstRun.ts', import.meta.url));
  const {stdout} = await promisify(execFile)(process.execPath, [script, name, String(threads ?? 0)]);
  return JSON.parse(stdout);
}

async function run(network: LoadedNetwork): Promise<{milliseconds: number; values: Float32Array[]}> {
  const start = performance.now();
  const outputs = await network.predict();
  const values = outputs.map((output) => output.dataSync<'float32'>());
  const milliseconds = performance.now() - start;
  for (const output of outputs) output.dispose();
  return {milliseconds, values};
}

async function convolutionShare(network: LoadedNetwork): Promise<number> {
  const {kernels} = await tf.profile(async () => {
    for (const output of await network.predict()) output.dispose();
    return tf.scalar(0);
  });
  // tfjs lists an op beside the kernels that it ran.
  const own = kernels.filter(({name}) => !name.endsWith('__op'));
  let all = 0;
  let convolutions = 0;
  for (const {name, kernelTimeMs} of own) {
    const ms = (await kernelTimeMs) as number;
    all += ms;
    if (/Conv2D|Conv2dNative/.test(name)) convolutions += ms;
  }
  return convolutions / all;
}

/**
 * Optimizes a network's model, and puts its methods in and out of the places of those that it was loaded with. A second copy
 * of the model would do, but the same network runs up to 5 % slower or faster where its weights are elsewhere.
 */
async function optimizedMethods(
  network: LoadedNetwork,
): Promise<{use(isOptimized: boolean): void; revert(): void}> {
  const model = network.model as OptimizableModel & Record<string, unknown>;
  const loaded = {...model};
  const {revert} = await optimizeModel(model);
  const methods = Object.fromEntries(Object.entries(model).filter(([name, value]) => loaded[name] !== value));
  return {
    use(isOptimized) {
      // Those of a class are its prototype's.
      for (const [name, method] of Object.entries(methods)) {
        if (isOptimized) model[name] = method;
        else delete model[name];
      }
    },
    revert,
  };
}

async function measure(name: string, tick: (what: string) => void): Promise<ModelRow> {
  const first = {} as Each<FirstRun>;
  for (const contender of CONTENDERS) {
    tick(`${name}: first run, ${contender.name}`);
    first[contender.name] = await firstRun(name, contender);
  }
  tick(`${name}: runs`);
  const registration = await registerIm2win({numThreads: mostThreads});
  const network = await NETWORKS[name]();
  const contenders = network.model === undefined ? CONTENDERS : [...CONTENDERS, ...OPTIMIZED];
  const optimized = contenders.length > CONTENDERS.length ? await optimizedMethods(network) : undefined;
  const use = (contender: Contender) => {
    registration.setAlgorithm(contender.threads === undefined ? 'stock' : 'auto');
    if (contender.threads !== undefined) registration.setNumThreads(contender.threads);
    optimized?.use(contender.optimized === true);
  };
  const times: Each<number[]> = Object.fromEntries(contenders.map((contender) => [contender.name, []]));
  const values = {} as Each<Float32Array[]>;
  const warm = performance.now() + WARM_MILLISECONDS;
  for (let runs = 0; runs === 0 || (runs < WARM_RUNS && performance.now() < warm); ++runs) {
    for (const contender of contenders) {
      use(contender);
      values[contender.name] = (await run(network)).values;
    }
  }
  for (let repetition = 0; repetition < options.reps; ++repetition) {
    // Another is the first each time: what comes back every few runs, as V8's garbage collection, meets each of them.
    const turn = repetition % contenders.length;
    for (const contender of [...contenders.slice(turn), ...contenders.slice(0, turn)]) {
      use(contender);
      times[contender.name].push((await run(network)).milliseconds);
    }
  }
  const share = {} as Each<number>;
  for (const contender of contenders) {
    use(contender);
    share[contender.name] = await convolutionShare(network);
  }
  const convolutions: Record<string, number> = {};
  for (const {algorithm, reason} of registration.report()) {
    if (reason?.includes('asked for') !== true) convolutions[algorithm] = (convolutions[algorithm] ?? 0) + 1;
  }
  registration.unregister();
  optimized?.revert();
  network.model?.dispose();
  const each = <T>(of: (name: string) => T): Each<T> =>
    Object.fromEntries(contenders.map((contender) => [contender.name, of(contender.name)]));
  const ours = contenders.slice(1);
  return {
    network: name,
    first,
    milliseconds: each((own) => ({median: medianInterval(times[own]).median, min: Math.min(...times[own])})),
    speedup: Object.fromEntries(
      ours.map((own) => [own.name, medianInterval(times.stock.map((ms, i) => ms / times[own.name][i]))]),
    ),
    convolutionShare: share,
    difference: Object.fromEntries(
      ours.map(({name, optimized}) => [
        name,
        relativeDifference(values[optimized ? CONTENDERS[1].name : 'stock'], values[name]),
      ]),
    ),
    convolutions,
  };
}

function print(rows: readonly ModelRow[]): string {
  const table = new Table({
    head: [
      'network',
      '',
      'first ms',
      'median ms',
      'fastest ms',
      '× stock',
      '95 %',
      'in convolution',
      'heap growth',
      'own bytes',
      'difference',
    ],
    colAligns: ['left', 'left', ...Array(9).fill('right')],
    style: {head: [], border: [], compact: true},
  });
  const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  for (const row of rows) {
    for (const {name, threads} of [...CONTENDERS, ...OPTIMIZED].filter(
      ({name}) => name in row.milliseconds,
    )) {
      const speedup = row.speedup[name];
      const first = row.first[name];
      table.push([
        threads === undefined ? row.network : '',
        name,
        first?.milliseconds.toFixed(1) ?? '',
        row.milliseconds[name].median.toFixed(1),
        row.milliseconds[name].min.toFixed(1),
        speedup?.median.toFixed(2) ?? '',
        speedup ? `${speedup.low.toFixed(2)}–${speedup.high.toFixed(2)}` : '',
        `${(100 * row.convolutionShare[name]).toFixed(0)} %`,
        first ? mebibytes(first.heapGrowth) : '',
        first && speedup ? mebibytes(first.ownBytes) : '',
        speedup ? row.difference[name].toExponential(0) : '',
      ]);
    }
  }
  const {cpu, engine, tfjs, date} = describeMachine();
  const means = [...CONTENDERS.slice(1), ...OPTIMIZED].map(({name}) => {
    const speedups = rows.flatMap(({speedup}) => speedup[name]?.median ?? []);
    return `${name.padEnd(16)}geometric mean ${geometricMean(speedups).toFixed(2)}× stock over ${speedups.length} networks, slowest ${Math.min(...speedups).toFixed(2)}×`;
  });
  return [table, ...means, `${cpu}, ${engine}, tfjs-backend-wasm ${tfjs}, ${date}`].join('\n');
}

const bar = new SingleBar({
  format: '{bar} {percentage} %  {what}',
  hideCursor: true,
  noTTYOutput: true,
  notTTYSchedule: 10_000,
  stream: process.stderr,
});
bar.start((1 + CONTENDERS.length) * names.length, 0, {what: ''});
await startBackend('wasm', mostThreads);
let done = 0;
const rows: ModelRow[] = [];
for (const name of names) rows.push(await measure(name, (what) => bar.update(done++, {what})));
bar.stop();

const json = `${JSON.stringify({machine: describeMachine(), rows}, undefined, 2)}\n`;
if (options.json === '-') process.stdout.write(json);
else console.log(print(rows));
if (options.json !== undefined && options.json !== '-') writeFileSync(options.json, json);

// Networks end in sums of sums: 1e-3 of the largest output is far beyond rounding.
const ALLOWED = 1e-3;
/**
 * What `optimizeModel` promises; but where a network makes more of rounding, which shows in what lies between stock and
 * im2win, no more than that.
 */
const ALLOWED_OPTIMIZED = 1e-5;
for (const {network, difference} of rows) {
  for (const [name, own] of Object.entries(difference)) {
    const optimized = OPTIMIZED.some((contender) => contender.name === name);
    const allowed = optimized ? Math.max(ALLOWED_OPTIMIZED, difference.im2win ?? 0) : ALLOWED;
    if (own < allowed) continue;
    console.error(`${network}, ${name}: the outputs differ by ${own}; allowed: ${allowed}.`);
    process.exitCode = 1;
  }
}
