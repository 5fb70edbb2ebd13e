// Trains a small CNN on handwritten digits on tfjs's wasm backend, which cannot do
// so by itself, and compares a training step with tfjs's cpu backend.
import {mkdirSync, writeFileSync} from 'node:fs';
import {performance} from 'node:perf_hooks';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import type {LayersModel} from '@tensorflow/tfjs-layers';
import {InvalidArgumentError, Option, program} from 'commander';
import {registerIm2win} from 'tfjs-im2win';
import {progressBar} from '../../bench/progress.ts';
import {lossCurve} from './chart.ts';
import {type Digits, loadDigits} from './digits.ts';
import {makeNetwork, NETWORKS, type NetworkName} from './network.ts';

const options = program
  .name('npm run demo:training --')
  .description('Trains a CNN on MNIST digits on the wasm backend, to about 97 % of the test images.')
  .addOption(
    new Option('--network <name>', 'a plain CNN, or a residual network with batch norms')
      .choices(Object.keys(NETWORKS))
      .default('plain'),
  )
  .option('--epochs <n>', 'passes over the training images', wholeNumber, 8)
  .option('--batch <n>', 'images in a training step', wholeNumber, 64)
  .option('--pairs <n>', 'training steps timed on wasm and on cpu, in turn', wholeNumber, 3)
  .option('--json', 'print the figures as JSON', false)
  .parse()
  .opts<{network: NetworkName; epochs: number; batch: number; pairs: number; json: boolean}>();

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) {
    throw new InvalidArgumentError('It must be a whole number of at least 1.');
  }
  return value;
}

const ACCURACY = 0.965;
// The cpu backend takes half a second for each image.
const COMPARED_IMAGES = 8;
const OUTPUT = new URL('../../output/', import.meta.url);

/** What stock's wasm backend says to a training step. */
async function stockError(network: LayersModel, {images, labels}: Digits): Promise<string> {
  try {
    await network.trainOnBatch(tf.slice(images, 0, 2), tf.slice(labels, 0, 2));
    return 'none';
  } catch (error) {
    return (error as Error).message;
  }
}

async function train(network: LayersModel, {images, labels}: Digits, test: Digits) {
  const losses: number[] = [];
  const accuracies: number[] = [];
  const steps = Math.ceil(images.shape[0] / options.batch);
  const bar = progressBar('loss {loss}  test accuracy {accuracy}');
  bar.start(steps * options.epochs, 0, {loss: '–', accuracy: '–'});
  const start = performance.now();
  try {
    for (let epoch = 0; epoch < options.epochs; ++epoch) {
      await network.fit(images, labels, {
        epochs: 1,
        batchSize: options.batch,
        shuffle: false,
        verbose: 0,
        callbacks: {
          onBatchEnd: async (_batch, logs) => {
            losses.push(logs?.loss ?? Number.NaN);
            bar.increment({loss: logs?.loss.toFixed(3)});
          },
        },
      });
      accuracies.push(accuracyOf(network, test));
      bar.update({accuracy: accuracies[epoch].toFixed(4)});
    }
  } finally {
    bar.stop();
  }
  return {losses, accuracies, seconds: (performance.now() - start) / 1000};
}

function accuracyOf(network: LayersModel, {images, labels}: Digits): number {
  const [, accuracy] = network.evaluate(images, labels, {batchSize: 100}) as tf.Scalar[];
  return accuracy.dataSync()[0];
}

/** Medians of steps on either backend in turn, each with a network of its own. */
async function compareSteps(digits: Digits) {
  const backends = ['wasm', 'cpu'] as const;
  const batch = {
    images: (await tf.slice(digits.images, 0, COMPARED_IMAGES).array()) as number[][][][],
    labels: (await tf.slice(digits.labels, 0, COMPARED_IMAGES).array()) as number[][],
  };
  const contenders = new Map<string, () => Promise<number>>();
  for (const backend of backends) {
    await tf.setBackend(backend);
    const network = makeNetwork(options.network);
    const images = tf.tensor4d(batch.images);
    const labels = tf.tensor2d(batch.labels);
    contenders.set(backend, async () => {
      await tf.setBackend(backend);
      const start = performance.now();
      await network.trainOnBatch(images, labels);
      return performance.now() - start;
    });
    await contenders.get(backend)?.();
  }
  const times: Record<string, number[]> = {wasm: [], cpu: []};
  const ratios: number[] = [];
  const bar = progressBar('a step on wasm and on cpu');
  bar.start(options.pairs, 0);
  for (let pair = 0; pair < options.pairs; ++pair) {
    for (const backend of backends) times[backend].push((await contenders.get(backend)?.()) ?? Number.NaN);
    ratios.push(times.cpu[pair] / times.wasm[pair]);
    bar.increment();
  }
  bar.stop();
  await tf.setBackend('wasm');
  return {wasmMs: median(times.wasm), cpuMs: median(times.cpu), speedup: median(ratios)};
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}

await tf.setBackend('wasm');
const {train: training, test} = loadDigits();
const stock = await stockError(makeNetwork(options.network), training);
// The cpu backend stays stock, to compare with.
await registerIm2win({backends: ['wasm']});
const {losses, accuracies, seconds} = await train(makeNetwork(options.network), training, test);
const steps = await compareSteps(training);
mkdirSync(OUTPUT, {recursive: true});
const picture = new URL('training.svg', OUTPUT);
writeFileSync(picture, lossCurve(losses, accuracies));

const accuracy = accuracies[accuracies.length - 1];
const figures = {
  images: training.images.shape[0],
  testImages: test.images.shape[0],
  seconds,
  accuracy,
  stock,
  ...steps,
};
if (options.json) {
  console.log(JSON.stringify(figures, undefined, 2));
} else {
  console.log(`stock wasm      ${stock}`);
  console.log(
    `with im2win     ${figures.images} images, ${options.epochs} epochs in ${seconds.toFixed(1)} s; ` +
      `${(100 * accuracy).toFixed(2)} % of ${figures.testImages} test images right`,
  );
  console.log(
    `a step of ${COMPARED_IMAGES}       wasm with im2win ${steps.wasmMs.toFixed(1)} ms, stock cpu ${steps.cpuMs.toFixed(0)} ms: ${steps.speedup.toFixed(0)}×`,
  );
  console.log(`picture         ${picture.pathname}`);
}
if (accuracy < ACCURACY) {
  console.error(`error: the test accuracy is ${accuracy}; ${ACCURACY} was to be reached.`);
  process.exitCode = 1;
}
