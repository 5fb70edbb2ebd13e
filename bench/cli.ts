#!/usr/bin/env node
// The package's command: tfjs-im2win bench.
import {Command} from 'commander';
import {benchCommand} from './program.ts';

await new Command('tfjs-im2win')
  .description('Convolutions of TensorFlow.js through im2win.')
  .addCommand(benchCommand(() => []))
  .parseAsync()
  .catch((error: Error) => {
    console.error(`error: ${error.message}`);
    process.exitCode = 1;
  });
