const {ready} = require('tfjs-im2win/auto');
require('@tensorflow/tfjs-backend-wasm');
const tf = require('@tensorflow/tfjs-core');
const {compare} = require('./check.js');

compare(tf, () => ready).then((result) => console.log(JSON.stringify(result)));
