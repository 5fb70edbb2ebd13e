const {readFileSync} = require('node:fs');
require('@tensorflow/tfjs-backend-wasm');
const tf = require('@tensorflow/tfjs-core');
const {registerIm2win} = require('tfjs-im2win/slim');
const {compare} = require('./check.js');

// One file, compiled by the host.
const bytes = readFileSync(require.resolve('tfjs-im2win/im2win-strict.wasm'));
const module_ = new WebAssembly.Module(bytes);
compare(tf, () => registerIm2win({module: module_})).then((result) => console.log(JSON.stringify(result)));
