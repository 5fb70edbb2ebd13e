import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-wasm';
const {registerIm2win} = await import(process.argv[2] ?? './dist/index.js');
await tf.setBackend('wasm');
const stock = tf.getKernel('Conv2D', 'wasm');
const r = await registerIm2win();
const ours = tf.getKernel('Conv2D', 'wasm');
const backend = tf.backend();
const x = tf.ones([1,1,1,24]), filter = tf.ones([1,1,24,24]);
const attrs = {strides: [1,1], pad: 'same', dataFormat: 'NHWC', dilations: [1,1], dimRoundingMode: undefined};
const run = (k) => { const o = k.kernelFunc({inputs: {x, filter}, backend, attrs}); backend.disposeData(o.dataId); };
const mk = () => { const o = backend.makeOutput([1,1,1,24], 'float32'); backend.disposeData(o.dataId); };
const time = (f, n = 20000) => { const t = performance.now(); for (let i = 0; i < n; ++i) f(); return (performance.now() - t) / n * 1000; };
for (let i = 0; i < 20000; ++i) { run(stock); run(ours); mk(); }
const s = [], o = [], m = [];
for (let i = 0; i < 9; ++i) { s.push(time(() => run(stock))); o.push(time(() => run(ours))); m.push(time(mk)); }
const med = (v) => v.sort((a, b) => a - b)[4].toFixed(3);
console.log('stock', med(s), 'ours', med(o), 'makeOutput+dispose', med(m), 'us');
if (process.argv[3]) { const e = performance.now() + 3000; while (performance.now() < e) run(ours); }
