// The benchmark from a checkout: with im2col and direct convolution as well.
import {bestFlavour} from '../src/wasm/detect.ts';
import {comparisonContenders} from './comparison.ts';
import {benchCommand} from './program.ts';

await benchCommand((simd) => {
  const flavour = simd === 'auto' ? bestFlavour() : simd;
  return flavour === 'none' ? [] : comparisonContenders(flavour);
})
  .name('npm run bench --')
  .parseAsync()
  .catch((error: Error) => {
    console.error(`error: ${error.message}`);
    process.exitCode = 1;
  });
