import {fileURLToPath} from 'node:url';
import {defineConfig} from 'vite';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

// On an isolated page the clock has steps of 5 µs, elsewhere of 100 µs, too coarse to time small layers.
// Nothing else needs these headers.
const headers = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

export default defineConfig({
  root: path('.'),
  base: './',
  appType: 'mpa',
  resolve: {
    alias: [
      // The library as it is published. tfjs is found in the folder above by both, so there is one.
      {find: /^tfjs-im2win$/, replacement: path('../../dist/index.js')},
      {find: /^tfjs-im2win\/optimize$/, replacement: path('../../dist/optimize.js')},
      // Model files, which their packages do not export.
      {find: '#esrgan-slim', replacement: path('../../node_modules/@upscalerjs/esrgan-slim/models')},
      {find: '#human', replacement: path('node_modules/@vladmandic/human/models')},
    ],
  },
  optimizeDeps: {
    // Named here because they are imported by workers, where Vite would find them late.
    include: [
      '@tensorflow/tfjs-backend-wasm',
      '@tensorflow/tfjs-converter',
      '@tensorflow/tfjs-core',
      '@tensorflow/tfjs-layers',
      'comlink',
    ],
  },
  worker: {format: 'es'},
  server: {headers, fs: {allow: [path('../..')]}},
  preview: {headers},
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 2000,
    rollupOptions: {input: {index: path('index.html'), benchmark: path('benchmark.html')}},
  },
});
