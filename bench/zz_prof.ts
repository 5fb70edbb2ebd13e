import * as tf from '@tensorflow/tfjs-core';
import {registerIm2win} from 'tfjs-im2win';
import {optimizeModel} from 'tfjs-im2win/optimize';
import {startBackend} from './bench.ts';
import {NETWORKS} from './networks.ts';

const [, , name, opt = '1', topS = '25'] = process.argv;
await startBackend('wasm', 1);
await registerIm2win({numThreads: 1});
const full = Object.keys(NETWORKS).find((n) => n.includes(name))!;
const network = await NETWORKS[full]();
if (opt === '1' && network.model) {
  const d = await optimizeModel(network.model as any);
  console.log('changes', d.changes.length);
}
const rows = new Map<string, {t: number; n: number; fl: number}>();
let on = false;
let depth = 0;
let inKernels = 0;
for (const k of tf.getKernelsForBackend('wasm')) {
  const f = k.kernelFunc;
  tf.unregisterKernel(k.kernelName, 'wasm');
  tf.registerKernel({
    ...k,
    kernelFunc: (p: any) => {
      if (!on || depth > 0) return f(p);
      ++depth;
      const t0 = performance.now();
      let out: any;
      try {
        out = f(p);
      } finally {
        --depth;
      }
      const dt = performance.now() - t0;
      inKernels += dt;
      const shapes = Object.values(p.inputs ?? {})
        .flat()
        .map((x: any) => (x?.shape ? x.shape.join('×') : ''))
        .slice(0, 2)
        .join(' , ');
      const o = (Array.isArray(out) ? out[0] : out)?.shape ?? [];
      const fs = p.inputs?.filter?.shape;
      const fl =
        fs && /Conv/.test(k.kernelName)
          ? 2 *
            o.reduce((a: number, b: number) => a * b, 1) *
            (/Depth/.test(k.kernelName) ? fs[0] * fs[1] : fs[0] * fs[1] * fs[2])
          : 0;
      const key = `${k.kernelName} ${shapes} → ${o.join('×')} ${p.attrs?.activation ?? ''} s${p.attrs?.strides ?? ''}`;
      const r = rows.get(key) ?? {t: 0, n: 0, fl: 0};
      r.t += dt;
      r.n++;
      r.fl += fl;
      rows.set(key, r);
      return out;
    },
  } as any);
}
const run = async () => {
  for (const o of await network.predict()) {
    o.dataSync();
    o.dispose();
  }
};
for (let i = 0; i < 4; i++) await run();
on = true;
let total = 0;
const reps = 6;
const all: number[] = [];
for (let i = 0; i < reps; i++) {
  const t = performance.now();
  await run();
  all.push(performance.now() - t);
}
total = all.reduce((a, b) => a + b);
console.log(
  full,
  'run',
  (total / reps).toFixed(1),
  'ms, min',
  Math.min(...all).toFixed(1),
  ' kernels',
  ((100 * inKernels) / total).toFixed(0),
  '%',
);
const byK = new Map<string, number>();
for (const [k, r] of rows) {
  const n = k.split(' ')[0];
  byK.set(n, (byK.get(n) ?? 0) + r.t);
}
console.log(
  [...byK]
    .sort((a, b) => b[1] - a[1])
    .slice(0, 14)
    .map(([k, t]) => `${k} ${((100 * t) / total).toFixed(1)}%`)
    .join('  '),
);
for (const [k, r] of [...rows].sort((a, b) => b[1].t - a[1].t).slice(0, +topS))
  console.log(
    (r.t / reps).toFixed(2).padStart(8),
    'ms',
    ((100 * r.t) / total).toFixed(1).padStart(5),
    '%',
    r.n / reps,
    'x',
    r.fl ? (r.fl / r.t / 1e6).toFixed(0).padStart(4) + ' GF/s' : '',
    k,
  );
process.exit(0);
