require('@tensorflow/tfjs-backend-wasm');
const tf = require('@tensorflow/tfjs-core');
const {registerIm2win} = require('tfjs-im2win');
const {compare} = require('./check.js');

test('im2win against stock', async () => {
  process.stdout.write(JSON.stringify(await compare(tf, registerIm2win)));
}, 60_000);
