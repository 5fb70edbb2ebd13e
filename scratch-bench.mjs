import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-wasm';
import {registerIm2win} from './dist/index.js';

await tf.setBackend('wasm');
const names = ['MaxPool', 'AvgPool', 'Mean', 'Sum', 'Max', 'Min', 'ResizeBilinear', 'ResizeNearestNeighbor'];
const stock = Object.fromEntries(names.map((n) => [n, tf.getKernel(n, 'wasm').kernelFunc]));
const flavour = process.argv[2] ?? 'auto';
await registerIm2win({numThreads: 1, simd: flavour});
const ours = Object.fromEntries(names.map((n) => [n, tf.getKernel(n, 'wasm').kernelFunc]));
const backend = tf.backend();
const P = (f, s, pad = 'same') => ({filterSize: f, strides: s, pad});
const R = (axis, keepDims = false) => ({axis, reductionIndices: axis, keepDims});
const Z = (h, w, half = true) => ({size: [h, w], alignCorners: false, halfPixelCenters: half});
const cases = [
  ['MaxPool', [1, 112, 112, 64], P(3, 2)],
  ['MaxPool', [1, 56, 56, 128], P(2, 2)],
  ['MaxPool', [1, 224, 224, 64], P(2, 2)],
  ['MaxPool', [1, 20, 20, 256], P(5, 1)],
  ['MaxPool', [1, 28, 28, 192], P(3, 1)],
  ['MaxPool', [1, 14, 14, 512], P(2, 2)],
  ['MaxPool', [1, 147, 147, 64], P(3, 2, 'valid')],
  ['MaxPool', [1, 64, 64, 16], P(2, 2)],
  ['MaxPool', [1, 8, 8, 16], P(2, 2)],
  ['MaxPool', [1, 2, 2, 4], P(2, 2)],
  ['MaxPool', [1, 128, 128, 3], P(2, 2)],
  ['MaxPool', [1, 128, 128, 1], P(3, 1)],
  ['MaxPool', [1, 16, 16, 88], P(2, 2)],
  ['AvgPool', [1, 35, 35, 192], P(3, 1)],
  ['AvgPool', [1, 7, 7, 1024], P(7, 1, 'valid')],
  ['AvgPool', [1, 56, 56, 128], P(2, 2)],
  ['AvgPool', [1, 8, 8, 1280], P(3, 1)],
  ['AvgPool', [1, 2, 2, 4], P(2, 2)],
  ['Mean', [1, 7, 7, 1280], R([1, 2])],
  ['Mean', [1, 14, 14, 480], R([1, 2])],
  ['Mean', [1, 112, 112, 32], R([1, 2])],
  ['Mean', [1, 56, 56, 144], R([1, 2], true)],
  ['Mean', [1, 7, 7, 16], R([1, 2])],
  ['Mean', [1, 1, 1, 1280], R([1, 2])],
  ['Mean', [197, 768], R([-1])],
  ['Mean', [1, 20, 20, 3], R([1, 2])],
  ['Mean', [1, 128, 128, 64], R([3])],
  ['Sum', [1, 1000], R([1])],
  ['Sum', [1, 1000], R([0])],
  ['Sum', [1000, 10], R([1])],
  ['Sum', [10000, 4], R([1])],
  ['Sum', [1, 128, 128, 21], R([3])],
  ['Sum', [4], R([0])],
  ['Sum', [1000000], R([0])],
  ['Sum', [64, 1000, 3], R([1])],
  ['Sum', [1000, 100], R([0])],
  ['Max', [1, 1000], R([1])],
  ['Max', [1, 8400, 80], R([2])],
  ['Max', [1, 33, 33, 21], R([3])],
  ['Max', [4], R([0])],
  ['Max', [1, 7, 7, 512], R([1, 2])],
  ['Max', [1000000], R(null)],
  ['Min', [1, 1000], R([1])],
  ['Max', [2000, 90], R([1])],
  ['ResizeBilinear', [1, 20, 20, 256], Z(40, 40)],
  ['ResizeBilinear', [1, 40, 40, 128], Z(80, 80)],
  ['ResizeBilinear', [1, 64, 64, 24], Z(128, 128)],
  ['ResizeBilinear', [1, 33, 33, 21], Z(257, 257, false)],
  ['ResizeBilinear', [1, 480, 640, 3], Z(224, 224)],
  ['ResizeBilinear', [1, 480, 640, 3], Z(128, 128, false)],
  ['ResizeBilinear', [1, 128, 128, 1], Z(256, 256)],
  ['ResizeBilinear', [1, 4, 4, 3], Z(8, 8)],
  ['ResizeBilinear', [1, 1, 1, 256], Z(28, 28)],
  ['ResizeBilinear', [1, 192, 192, 3], Z(640, 480)],
  ['ResizeNearestNeighbor', [1, 20, 20, 256], Z(40, 40, false)],
  ['ResizeNearestNeighbor', [1, 40, 40, 128], Z(80, 80, false)],
  ['ResizeNearestNeighbor', [1, 64, 64, 24], Z(128, 128, false)],
  ['ResizeNearestNeighbor', [1, 480, 640, 3], Z(224, 224, false)],
  ['ResizeNearestNeighbor', [1, 4, 4, 3], Z(8, 8, false)],
  ['ResizeNearestNeighbor', [1, 13, 13, 128], Z(26, 26, false)],
  ['ResizeNearestNeighbor', [1, 128, 128, 1], Z(256, 256, false)],
];
const only = process.argv[3];
const reps = Number(process.argv[4] ?? 41);
const med = (a) => a.sort((x, y) => x - y)[a.length >> 3];
const wasm = backend.wasm;
const size = (s) => s.reduce((a, b) => a * b, 1);
const logs = [];
for (const [name, shape, attrs] of cases) {
  if (only && !name.startsWith(only)) continue;
  const x = tf.randomUniform(shape, -1, 1);
  const key = name.startsWith('Resize') ? 'images' : 'x';
  const call = (f) => {
    const o = f({inputs: {[key]: x}, backend, attrs});
    backend.disposeData(o.dataId);
    return o;
  };
  const out = call(ours[name]);
  const bytes = (4 * (size(shape) + size(out.shape))) / 2;
  const a = wasm._malloc(bytes),
    b = wasm._malloc(bytes);
  const copy = () => {
    wasm.HEAPU8.copyWithin(b, a, a + bytes);
  };
  for (let k = 0; k < 4; k++) {
    const e = performance.now() + 40;
    while (performance.now() < e) {
      call(stock[name]);
      call(ours[name]);
    }
    await new Promise((r) => setTimeout(r, 15));
  }
  let n = 1;
  const t = (f, n) => {
    const s = performance.now();
    for (let i = 0; i < n; i++) f();
    return ((performance.now() - s) / n) * 1000;
  };
  const one = t(() => call(stock[name]), 5);
  n = Math.max(1, Math.min(2000, Math.ceil(400 / one)));
  if (n > 50) {
    t(() => call(ours[name]), 2000);
    t(() => call(stock[name]), 2000);
  }
  const S = [],
    O = [],
    C = [],
    r = [];
  for (let i = 0; i < reps; i++) {
    const s = t(() => call(stock[name]), n),
      o = t(() => call(ours[name]), n),
      c = t(copy, n);
    S.push(s);
    O.push(o);
    C.push(c);
    r.push(s / o);
  }
  wasm._free(a);
  wasm._free(b);
  x.dispose();
  r.sort((x, y) => x - y);
  const ratio = r[r.length >> 1];
  logs.push([med(S), ratio]);
  console.log(
    name.padEnd(22),
    shape.join('x').padEnd(14),
    String(JSON.stringify(attrs.filterSize ?? attrs.axis ?? attrs.size)).padEnd(10),
    'stock',
    med(S).toFixed(1).padStart(8),
    'ours',
    med(O).toFixed(1).padStart(8),
    'ratio',
    ratio.toFixed(2).padStart(6),
    'copy',
    med(C).toFixed(1).padStart(7),
    'copy/ours',
    (med(C) / med(O)).toFixed(2),
  );
}
const gm = (l) => Math.exp(l.reduce((s, [, r]) => s + Math.log(r), 0) / l.length).toFixed(2);
console.log('gm all', gm(logs), 'gm >20us', gm(logs.filter(([s]) => s > 20)));
