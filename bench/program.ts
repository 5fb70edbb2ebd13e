// The command line of the benchmark.
import {existsSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {Command, InvalidArgumentError, Option} from 'commander';
import type {Flavour} from 'tfjs-im2win';
import {defaultThreads} from '../src/wasm/threads/cores.ts';
import {runBench} from './bench.ts';
import {type Contender, registeredContenders} from './contender.ts';
import {readLayers} from './layers.ts';
import {htmlReport, speedupChart} from './report.ts';
import {printResult} from './table.ts';

interface Options {
  backend: string;
  layers: string;
  contenders?: string[];
  simd: 'auto' | Flavour;
  threads: number[];
  reps: number;
  over: number;
  json?: string;
  report?: string;
  chart?: string;
}

/**
 * @param more Contenders beside stock and the library's algorithms.
 */
export function benchCommand(
  more: (simd: Options['simd'], threads: readonly number[]) => Contender[],
): Command {
  return new Command('bench')
    .description(
      'Times stock tfjs and im2win on convolutions, in turn in one process, after comparing their outputs.',
    )
    .addOption(new Option('--backend <name>', 'tfjs backend').choices(['wasm', 'cpu']).default('wasm'))
    .option(
      '--layers <source>',
      "'paper' (12 layers), 'corpus' (the convolutions of 29 networks), 'depthwise' and 'transposed' (their others), or a file",
      'paper',
    )
    .option('--contenders <names>', 'comma-separated; all of them if left out', (text) => text.split(','))
    .addOption(
      new Option('--simd <flavour>', 'WebAssembly flavour')
        .choices(['auto', 'relaxed', 'strict'])
        .default('auto'),
    )
    .option(
      '--threads <counts>',
      "comma-separated: how many threads 'auto' runs on, in turn, and peers that have threads; all others run on one. Of the wasm backend",
      threadCounts,
      [...new Set([1, defaultThreads()])],
    )
    .option('--reps <n>', 'repetitions of each contender on each layer', repetitions, 21)
    .option(
      '--over <ms>',
      'milliseconds of stock below which a layer is left out of the summary',
      milliseconds,
      0,
    )
    .option('--json <file>', "write the figures as JSON; '-' prints them instead of the table", outputFile)
    .option('--report <file.html>', 'write a page with charts', outputFile)
    .option(
      '--chart <file.svg>',
      'write a chart of how many times as fast as stock the others are',
      outputFile,
    )
    .action(async (options: Options) => {
      const layers = readLayers(options.layers);
      const threads = options.backend === 'wasm' ? options.threads : [1];
      const all = [
        ...registeredContenders(options.backend, options.simd, threads),
        ...(options.backend === 'wasm' ? more(options.simd, threads) : []),
      ];
      const contenders = choose(all, options.contenders);
      const result = await runBench({
        backend: options.backend,
        simd: options.simd,
        layers,
        contenders,
        repetitions: options.reps,
        numThreads: Math.max(...threads),
      });
      const json = `${JSON.stringify(result, undefined, 2)}\n`;
      if (options.json === '-') process.stdout.write(json);
      else console.log(printResult(result, options.over));
      if (options.json !== undefined && options.json !== '-') writeFileSync(options.json, json);
      if (options.report !== undefined) writeFileSync(options.report, htmlReport(result));
      if (options.chart !== undefined) writeFileSync(options.chart, speedupChart(result.rows));
    });
}

function choose(all: readonly Contender[], names: readonly string[] | undefined): readonly Contender[] {
  if (names === undefined) return all;
  return names.map((name) => {
    const found = all.find((contender) => contender.name === name);
    if (found === undefined) {
      throw new Error(
        `--contenders: ${name} is none; allowed: ${all.map((contender) => contender.name).join(', ')}.`,
      );
    }
    return found;
  });
}

export function threadCounts(text: string): number[] {
  const counts = text.split(',').map(Number);
  if (!counts.every((count) => Number.isInteger(count) && count >= 1 && count <= 16)) {
    throw new InvalidArgumentError('They must be whole numbers from 1 to 16.');
  }
  return [...new Set(counts)];
}

/** Checked before the minutes that the benchmark takes. */
export function outputFile(file: string): string {
  if (!existsSync(path.dirname(file))) throw new InvalidArgumentError('Its folder does not exist.');
  return file;
}

function milliseconds(text: string): number {
  const value = Number(text);
  if (!(value >= 0)) throw new InvalidArgumentError('It must be a number of at least 0.');
  return value;
}

export function repetitions(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('It must be a whole number of at least 1.');
  return value;
}
