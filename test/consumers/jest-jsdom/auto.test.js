const {ready} = require('tfjs-im2win/auto');
require('@tensorflow/tfjs-backend-wasm');
const tf = require('@tensorflow/tfjs-core');
const {compare} = require('./check.js');

test('im2win against stock', async () => {
  process.stdout.write(JSON.stringify(await compare(tf, () => ready)));
}, 60_000);
