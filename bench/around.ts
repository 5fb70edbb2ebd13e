// Kernels around convolutions: the recorded calls by stock, by the library, and against a copy.
import {readFileSync, writeFileSync} from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import {program} from 'commander';
import {registerIm2win} from 'tfjs-im2win';
import {findMemory, Heap} from '../src/wasm/heap.ts';
import type {TfjsWasmModule} from '../src/wasm/tfjs.ts';
import {type Around, type AroundRow, type Copy, measureCall} from './aroundMeasure.ts';
import {printSummary, summarize} from './aroundSummary.ts';
import {describeMachine, startBackend} from './bench.ts';
import {threadedName} from './contender.ts';
import {loadBenchKernels} from './peaks.ts';
import {outputFile, repetitions, threadCounts} from './program.ts';
import {progressBar} from './progress.ts';
import {parseRecording} from './recording.ts';
import type {ReplayBackend} from './replay.ts';

/** The printed summary leaves shorter calls out: most of their time is JavaScript. */
const OVER_MICROSECONDS = 20;

const options = program
  .name('npm run bench:around --')
  .description(
    'Times the kernels that networks call around their convolutions (bench/around.json): by stock tfjs-backend-wasm, ' +
      'by im2win, and against a copy of as many bytes as a call reads and writes.',
  )
  .option('--kernels <names>', 'comma-separated, as tfjs names them; all if left out', (text) =>
    text.split(','),
  )
  .option('--stock', 'stock and the copy alone')
  .option(
    '--threads <counts>',
    "comma-separated: how many threads im2win runs on, in turn; with more than one stock's copies are slower, because they are on a shared heap",
    threadCounts,
    [1],
  )
  .option('--reps <n>', 'interleaved repetitions', repetitions, 15)
  .option(
    '--json <file>',
    "write the figures of each call as JSON; '-' prints them instead of the table",
    outputFile,
  )
  .parse()
  .opts<{kernels?: string[]; stock?: true; threads: number[]; reps: number; json?: string}>();

const recording = parseRecording(readFileSync(new URL('around.json', import.meta.url), 'utf8'));
const known = new Set(recording.calls.map(({kernel}) => kernel));
for (const kernel of options.kernels ?? []) {
  if (!known.has(kernel)) program.error(`error: --kernels: '${kernel}' is none of ${[...known].join(', ')}`);
}
const calls = recording.calls.filter(({kernel}) => options.kernels?.includes(kernel) ?? true);

const mostThreads = Math.max(...options.threads);
await startBackend('wasm', mostThreads);
const backend = tf.backend() as unknown as ReplayBackend & {wasm: TfjsWasmModule};
const memory = findMemory(backend.wasm);
const copy = memory && (loadBenchKernels('strict', memory)?.copy as Copy | undefined);
if (memory === undefined || copy === undefined)
  throw new Error("There is no SIMD, or tfjs's memory was not found.");
const stocks = new Map([...known].map((kernel) => [kernel, tf.getKernel(kernel, 'wasm')]));
const registration = options.stock ? undefined : await registerIm2win({numThreads: mostThreads});
registration?.setNumThreads(options.threads[0]);

const bar = progressBar('{kernel}');
bar.start(calls.length, 0, {kernel: ''});
const rows: AroundRow[] = [];
for (const call of calls) {
  const around: Around = {
    backend,
    heap: new Heap(backend.wasm, memory),
    copy,
    registration,
    threads: options.threads,
    repetitions: options.reps,
    overMicroseconds: OVER_MICROSECONDS,
    stock: stocks.get(call.kernel) as tf.KernelConfig,
  };
  rows.push(measureCall(call, around));
  bar.increment({kernel: call.kernel});
  // What says how far it is, and threads that begin, need a turn.
  await new Promise(setImmediate);
}
bar.stop();

const machine = describeMachine();
const json = `${JSON.stringify({machine, repetitions: options.reps, rows}, undefined, 2)}\n`;
if (options.json === '-') process.stdout.write(json);
else {
  const names = options.stock ? [] : options.threads.map((count) => threadedName('im2win', count));
  // Of a network's time nothing can be said where some of its kernels were not timed.
  const summaries = summarize(rows, options.kernels === undefined ? recording.shares : undefined);
  console.log(printSummary(summaries, names, OVER_MICROSECONDS));
  console.log(`${machine.cpu}, ${machine.engine}, tfjs-backend-wasm ${machine.tfjs}, ${machine.date}`);
}
if (options.json !== undefined && options.json !== '-') writeFileSync(options.json, json);
