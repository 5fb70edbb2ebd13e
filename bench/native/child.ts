// One contender in a process of its own. It computes when it is asked to, and sleeps otherwise. Its arguments are the
// engine and how many threads it has.
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-wasm';
import {registerIm2win} from 'tfjs-im2win';
import {runKernel} from '../contender.ts';
import {makeOperands} from '../measure.ts';
import {takeTurn, timed, warmUp} from '../turn.ts';
import type {Prepared, Question, Ready, Subject} from './subject.ts';
import {loadTfjsNode} from './tfjsNode.ts';

// Workers are there some ten milliseconds after the first call that wants them.
const WORKERS_START_MS = 150;

const [, , engine, threads] = process.argv;

// Two copies of tfjs would warn of each kernel that both bring.
tf.enableProdMode();
const tensorFlow = engine === 'native' ? loadTfjsNode().tensorFlow : undefined;
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

async function prepare(subject: Subject): Promise<{run: Run; prepared: Prepared}> {
  const run = await load(subject);
  let outputs: Float32Array[] = [];
  const firstMs = await timed(async () => {
    outputs = await run(true);
  });
  await new Promise((resolve) => setTimeout(resolve, WORKERS_START_MS));
  await warmUp(() => run(false));
  return {run, prepared: {outputs, firstMs}};
}

let current: Run | undefined;
process.on('message', async (question: Question) => {
  if (question !== 'run') {
    const {run, prepared} = await prepare(question.prepare);
    current = run;
    return process.send?.(prepared);
  }
  if (current === undefined) throw new Error('Nothing was prepared.');
  const run = current;
  process.send?.(await takeTurn(() => run(false)));
});
process.send?.({tensorFlow} satisfies Ready);
