import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import {registerIm2win} from './src/index.ts';

await tf.setBackend('cpu');
const r = process.argv[2] === 'stock' ? 0 : await registerIm2win();
const t = (name, f) => {
  const ts = [];
  for (let i = 0; i < 5; ++i) {
    const s = performance.now();
    tf.tidy(f);
    ts.push((performance.now() - s).toFixed(1));
  }
  console.log(name, ts.join(' '));
};
const x1 = tf.ones([1, 1, 1, 1]),
  f1 = tf.ones([1, 1, 1, 1]);
t('pad', () =>
  tf.conv2d(x1, f1, 1, [
    [0, 0],
    [0, 0],
    [3, 2 ** 24 - 4],
    [0, 0],
  ]),
);
t('dwpad', () =>
  tf.depthwiseConv2d(x1, f1, 1, [
    [0, 0],
    [0, 0],
    [3, 2 ** 24 - 4],
    [0, 0],
  ]),
);
const xb = tf.ones([1, 1, 1, 2 ** 24]),
  fb = tf.ones([1, 1, 2 ** 24, 1]);
t('dot', () => tf.conv2d(xb, fb, 1, 'same'));
for (const [c, n] of [
  [1024, 1000],
  [1280, 1000],
  [512, 10],
  [256, 256],
]) {
  const x = tf.randomNormal([1, 1, 1, c]),
    f = tf.randomNormal([1, 1, c, n]);
  for (let i = 0; i < 30; ++i)
    tf.tidy(() => {
      tf.conv2d(x, f, 1, 'same');
    });
  t(`dense ${c} ${n}`, () => tf.conv2d(x, f, 1, 'same'));
}
for (const s of [2, 3, 4, 7])
  for (const [c, n, k] of [
    [256, 256, 1],
    [64, 64, 3],
  ]) {
    const x = tf.randomNormal([1, s, s, c]),
      f = tf.randomNormal([k, k, c, n]);
    for (let i = 0; i < 30; ++i)
      tf.tidy(() => {
        tf.conv2d(x, f, 1, 'same');
      });
    t(`${s}x${s} ${k} ${c} ${n}`, () => tf.conv2d(x, f, 1, 'same'));
  }
