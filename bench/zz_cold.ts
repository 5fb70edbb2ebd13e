import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-wasm';
import {registerIm2win} from '../src/index.ts';

await tf.setBackend('wasm');
await tf.ready();
const stock = tf.getKernel('FusedConv2D', 'wasm')!.kernelFunc;
await registerIm2win({numThreads: 1});
const ours = tf.getKernel('FusedConv2D', 'wasm')!.kernelFunc;
const backend = tf.backend() as any;
const med = (a: number[]) => [...a].sort((x, y) => x - y)[a.length >> 1];
for (const [h, c, k, oc] of [
  [14, 256, 3, 256],
  [7, 512, 3, 512],
  [28, 128, 3, 128],
  [14, 256, 1, 1024],
  [14, 1024, 1, 256],
  [7, 512, 1, 2048],
  [7, 2048, 1, 512],
] as const) {
  const x = tf.randomNormal([1, h, h, c]);
  const fb = k * k * c * oc * 4;
  const many = Math.ceil(160e6 / fb);
  const fs = Array.from({length: many}, () => tf.randomNormal([k, k, c, oc]));
  const call = (kf: any, filter: any) =>
    backend.disposeData(
      kf({
        inputs: {x, filter},
        backend,
        attrs: {strides: [1, 1], pad: 'same', dataFormat: 'NHWC', dilations: [1, 1], activation: 'relu'},
      }).dataId,
    );
  const out: string[] = [];
  for (const [name, kf] of [
    ['stock', stock],
    ['ours', ours],
  ] as const) {
    for (let r = 0; r < 3; r++) for (const f of fs) call(kf, f);
    for (let r = 0; r < 50; r++) call(kf, fs[0]);
    const cold: number[] = [],
      warm: number[] = [];
    for (let r = 0; r < 4; r++)
      for (const f of fs) {
        const t = performance.now();
        call(kf, f);
        cold.push(performance.now() - t);
      }
    for (let r = 0; r < 60; r++) {
      const t = performance.now();
      call(kf, fs[0]);
      warm.push(performance.now() - t);
    }
    const fl = 2 * h * h * c * oc * k * k;
    out.push(
      `${name} warm ${med(warm).toFixed(2)} ms ${(fl / med(warm) / 1e6).toFixed(0)} GF/s  cold ${med(cold).toFixed(2)} ms ${(fl / med(cold) / 1e6).toFixed(0)} GF/s min ${Math.min(...cold).toFixed(2)}`,
    );
  }
  console.log(`${h}² ${c} ${k}×${k} → ${oc}  filter ${(fb / 1e6).toFixed(1)} MB`, out.join(' | '));
  x.dispose();
  fs.forEach((f) => f.dispose());
}
process.exit(0);
