import * as tf from '@tensorflow/tfjs-core';
import {registerIm2win} from 'tfjs-im2win';
import {startBackend} from './bench.ts';
import {NETWORKS} from './networks.ts';
await startBackend('wasm', 1);
const reg = await registerIm2win({numThreads: 1});
for (const name of process.argv.slice(2)) {
  const n = await NETWORKS[name]();
  for (const alg of ['stock', 'auto'] as const) {
    reg.setAlgorithm(alg);
    for (let i = 0; i < 12; ++i) for (const o of await n.predict()) { o.dataSync(); o.dispose(); }
    const best: Record<string, number[]> = {};
    let total = Infinity;
    for (let r = 0; r < 12; ++r) {
      const t0 = performance.now();
      for (const o of await n.predict()) { o.dataSync(); o.dispose(); }
      total = Math.min(total, performance.now() - t0);
      const {kernels} = await tf.profile(async () => { for (const o of await n.predict()) o.dispose(); return tf.scalar(0); });
      const sum: Record<string, number> = {};
      for (const k of kernels) if (!k.name.endsWith('__op')) sum[k.name] = (sum[k.name] ?? 0) + (await k.kernelTimeMs as number);
      for (const k in sum) (best[k] ??= []).push(sum[k]);
    }
    const min = Object.entries(best).map(([k, v]) => [k, Math.min(...v)] as const).sort((a, b) => b[1] - a[1]);
    console.log(name, alg, 'total', total.toFixed(1), 'kernels', min.reduce((a, b) => a + b[1], 0).toFixed(1), min.slice(0, 10).map(([k, v]) => `${k} ${v.toFixed(2)}`).join(', '));
  }
}
