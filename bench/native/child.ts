// One contender in a process of its own. It computes when it is asked to, and sleeps otherwise. Its arguments are the
// engine and how many threads it has.
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-wasm';
import {registerIm2win} from 'tfjs-im2win';
import {runKernel} from '../contender.ts';
import {makeOperands} from '../measure.ts';
import type {Prepared, Question, Ran, Ready, Subject} from './subject.ts';
import {loadTfjsNode} from './tfjsNode.ts';

// In its first runs V8 still compiles what runs often.
const WARM_RUNS = 15;
const WARM_MS = 1500;
// A turn is as many runs as take this long.
const TURN_MS = 30;
const TURN_RUNS = 30;
// Workers are there some ten milliseconds after the first call that wants them.
const WORKERS_START_MS = 150;

const [, , engine, threads] = process.argv;

// Two copies of tfjs would warn of each kernel that both bring.
tf.enableProdMode();
const tensorFlow = engine === 'native' ? loadTfjsNode() : undefined;
if (engine === 'im2win') await registerIm2win({numThreads: Number(threads)});
await tf.setBackend(engine === 'native' ? 'tensorflow' : 'wasm');

/** Values are read where they are asked for, or where the network is whole: as an app would. */
type Run = (read: boolean) => Promise<Float32Array[]>;

async function load(subject: Subject): Promise<Run> {
  if ('layer' in subject) {
    const {layer} = subject;
    const operands = makeOperands(layer);
    return async (read) => {
      const output = runKernel(layer, operands);
      const values = read ? [output.dataSync<'float32'>().slice()] : [];
      output.dispose();
      return values;
    };
  }
  // Pretrained ones are installed on demand, as the layers' process need not have them.
  const {NETWORKS} = await import('../networks.ts');
  const network = await NETWORKS[subject.network]();
  return async () => {
    const outputs = await network.predict();
    const values = outputs.map((output) => Float32Array.from(output.dataSync()));
    for (const output of outputs) output.dispose();
    return values;
  };
}

async function timed(run: Run, read = false): Promise<{ms: number; outputs: Float32Array[]}> {
  const start = performance.now();
  const outputs = await run(read);
  return {ms: performance.now() - start, outputs};
}

async function prepare(subject: Subject): Promise<{run: Run; prepared: Prepared}> {
  const run = await load(subject);
  const {ms: firstMs, outputs} = await timed(run, true);
  await new Promise((resolve) => setTimeout(resolve, WORKERS_START_MS));
  const start = performance.now();
  for (let runs = 0; runs < WARM_RUNS && performance.now() - start < WARM_MS; ++runs) await run(false);
  return {run, prepared: {outputs, firstMs}};
}

async function turn(run: Run): Promise<Ran> {
  // Untimed: what it needs comes into the caches.
  await run(false);
  const times: number[] = [];
  const before = process.cpuUsage();
  const start = performance.now();
  do times.push((await timed(run)).ms);
  while (times.length < TURN_RUNS && performance.now() - start < TURN_MS);
  const {user, system} = process.cpuUsage(before);
  times.sort((a, b) => a - b);
  return {
    medianMs: times[times.length >> 1],
    fastestMs: times[0],
    cpuMs: (user + system) / 1000 / times.length,
  };
}

let current: Run | undefined;
process.on('message', async (question: Question) => {
  if (question === 'stop') return process.disconnect();
  if (question !== 'run') {
    const {run, prepared} = await prepare(question.prepare);
    current = run;
    return process.send?.(prepared);
  }
  if (current === undefined) throw new Error('Nothing was prepared.');
  process.send?.(await turn(current));
});
process.send?.({tensorFlow} satisfies Ready);
