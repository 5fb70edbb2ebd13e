// `npm run accuracy`: the errors of every plan on the benchmark's convolutions, a
// line for each algorithm.
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-wasm';
import {Command, Option} from 'commander';
import type {Flavour} from '../src/plan.ts';
import {
  DISTRIBUTIONS,
  type Distribution,
  errorBound,
  everyPlan,
  planName,
  relativeErrors,
} from './accuracy.ts';
import {geometryOf} from './geometry.ts';
import {readLayers} from './layers.ts';
import {progressBar} from './progress.ts';
import {openState} from './wasmState.ts';

interface Line {
  count: number;
  /** The largest error, relative to the largest output, and to its bound. */
  error: number;
  share: number;
  where: string;
}

async function report(flavour: Flavour, samples: number): Promise<Map<string, Line>> {
  await tf.setBackend('wasm');
  const state = await openState(flavour);
  const layers = [...readLayers('paper'), ...readLayers('corpus')];
  const lines = new Map<string, Line>();
  const bar = progressBar('{value} of {total}');
  bar.start(layers.length, 0);
  for (const [index, layer] of layers.entries()) {
    const geometry = geometryOf(layer);
    const plans = everyPlan(geometry, flavour);
    for (const distribution of Object.keys(DISTRIBUTIONS) as Distribution[]) {
      relativeErrors(state, geometry, plans, distribution, index + 1, samples).forEach((error, i) => {
        const plan = plans[i];
        const key = `${planName(plan).padEnd(10)} ${distribution}`;
        const line = lines.get(key) ?? {count: 0, error: 0, share: 0, where: ''};
        const share = error / errorBound(plan.algorithm, geometry);
        lines.set(key, {
          count: line.count + 1,
          error: Math.max(line.error, error),
          share: Math.max(line.share, share),
          where: share > line.share ? layer.name : line.where,
        });
      });
    }
    bar.increment();
  }
  bar.stop();
  return lines;
}

await new Command('npm run accuracy --')
  .description(
    "Compares every plan's outputs with sums in double precision, on the benchmark's convolutions with normal, " +
      'uniform and ReLU-like data.',
  )
  .addOption(
    new Option('--simd <flavour>', 'WebAssembly flavour').choices(['relaxed', 'strict']).default('relaxed'),
  )
  .option('--samples <n>', 'outputs compared of each', Number, 300)
  .option('--json', 'print JSON')
  .action(async ({simd, samples, json}: {simd: Flavour; samples: number; json?: boolean}) => {
    const lines = await report(simd, samples);
    if (json) {
      console.log(JSON.stringify(Object.fromEntries(lines), undefined, 2));
    } else {
      console.log('algorithm and data    plans   largest error   of its bound');
      for (const [key, {count, error, share, where}] of [...lines].sort(([a], [b]) => a.localeCompare(b))) {
        console.log(
          `${key.padEnd(20)} ${String(count).padStart(6)} ${error.toExponential(1).padStart(15)} ` +
            `${(100 * share).toFixed(0).padStart(12)} %   ${where}`,
        );
      }
    }
    if ([...lines.values()].some(({share}) => !(share <= 1))) process.exitCode = 1;
  })
  .parseAsync()
  .catch((error: Error) => {
    console.error(`error: ${error.message}`);
    process.exitCode = 1;
  });
