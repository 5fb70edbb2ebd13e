import {setWasmPaths} from '@tensorflow/tfjs-backend-wasm';
import tfjsModule from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm';
import * as tf from '@tensorflow/tfjs-core';
import relaxed from 'tfjs-im2win/im2win-relaxed.wasm';
import strict from 'tfjs-im2win/im2win-strict.wasm';
import {registerIm2win} from 'tfjs-im2win/slim';
import {compare} from './check.js';

// tfjs fetches its file and compiles it, which a worker must not. So it is given the module, whatever it fetched.
setWasmPaths('/', true);
tf.env().platform.fetch = async () => new Response();
WebAssembly.instantiate = async (_bytes, imports) => ({
  module: tfjsModule,
  instance: new WebAssembly.Instance(tfjsModule, imports),
});

export default {
  async fetch() {
    return Response.json(await compare(tf, () => registerIm2win({module: {strict, relaxed}})));
  },
};
