const {readFileSync} = require('node:fs');
require('@tensorflow/tfjs-backend-wasm');
const tf = require('@tensorflow/tfjs-core');
const {registerIm2win} = require('tfjs-im2win/slim');
const {compare} = require('./check.js');

test('im2win against stock', async () => {
  const bytes = (flavour) => readFileSync(require.resolve(`tfjs-im2win/im2win-${flavour}.wasm`));
  const wasmBinary = {strict: bytes('strict'), relaxed: bytes('relaxed')};
  process.stdout.write(JSON.stringify(await compare(tf, () => registerIm2win({wasmBinary}))));
}, 60_000);
