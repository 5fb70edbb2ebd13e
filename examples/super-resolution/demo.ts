// Super-resolution of a photograph with a pretrained network, by stock tfjs and
// by im2win: how long each takes, what it needs, and whether they agree.
import {execFile} from 'node:child_process';
import {mkdirSync} from 'node:fs';
import {performance} from 'node:perf_hooks';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import type {LayersModel} from '@tensorflow/tfjs-layers';
import {SingleBar} from 'cli-progress';
import Table from 'cli-table3';
import {InvalidArgumentError, program} from 'commander';
import {type Im2winRegistration, registerIm2win} from 'tfjs-im2win';
import type {FirstRun} from './firstRun.ts';
import {loadNetwork, upscale} from './network.ts';
import {centreCrop, readPhotograph, writePhotograph} from './photograph.ts';
import {difference, median} from './statistics.ts';

/** Stock; and im2win on one thread, and on as many as there are by default. */
const CONTENDERS = ['stock', 'one', 'all'] as const;
type Contender = (typeof CONTENDERS)[number];
type Each<T> = Record<Contender, T>;

// Both add up the same products in different orders. For sums of 576 to 1,600 floats an error of 1e-6 of the
// largest value is usual in each layer, and the network has 15 of them. Of 255 grey levels, 1e-4 is a
// fortieth of one.
const ROUNDING = 1e-4;

const options = program
  .name('npm run demo --')
  .description(
    'Doubles a photograph with ESRGAN, by stock tfjs-backend-wasm and by im2win, and compares them.',
  )
  .option('--pairs <n>', 'timed rounds of runs on the crop', wholeNumber(1, 1000), 15)
  .option('--crop <pixels>', 'side of the crop that is timed, at most 300', wholeNumber(8, 300), 128)
  .option('--json', 'print the figures as JSON instead of a table', false)
  .parse()
  .opts<{pairs: number; crop: number; json: boolean}>();

function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < least || value > most) {
      throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
    }
    return value;
  };
}

interface Figures {
  firstRunMs: number;
  medianMs: number;
  minMs: number;
  heapGrowthBytes: number;
  convolutionShare: number;
}

async function firstRun(contender: Contender): Promise<FirstRun> {
  const script = fileURLToPath(new URL('firstRun.ts', import.meta.url));
  const {stdout} = await promisify(execFile)(process.execPath, [script, contender, String(options.crop)]);
  return JSON.parse(stdout);
}

async function convolutionShare(network: LayersModel, crop: tf.Tensor4D): Promise<number> {
  const {kernels} = await tf.profile(() => upscale(network, crop));
  // tfjs lists an op beside the kernels that it ran.
  const times = await Promise.all(
    kernels
      .filter(({name}) => !name.endsWith('__op'))
      .map(async ({name, kernelTimeMs}) => ({name, ms: (await kernelTimeMs) as number})),
  );
  const sum = (of: typeof times) => of.reduce((total, {ms}) => total + ms, 0);
  return sum(times.filter(({name}) => name === 'Conv2D' || name === 'FusedConv2D')) / sum(times);
}

async function compare(step: (what: string) => void) {
  const first = {} as Each<FirstRun>;
  for (const contender of CONTENDERS) {
    step(`first run, ${contender}`);
    first[contender] = await firstRun(contender);
  }

  const im2win = await registerIm2win();
  await tf.setBackend('wasm');
  const {numThreads} = im2win;
  const use = (contender: Contender) => {
    im2win.setAlgorithm(contender === 'stock' ? 'stock' : 'auto');
    im2win.setNumThreads(contender === 'all' ? numThreads : 1);
  };
  const network = await loadNetwork();
  const photograph = readPhotograph(new URL('chelsea.png', import.meta.url));
  const crop = centreCrop(photograph, options.crop);

  const runs: Each<number[]> = {stock: [], one: [], all: []};
  for (let pair = -1; pair < options.pairs; ++pair) {
    for (const contender of CONTENDERS) {
      step(pair < 0 ? `warming up ${contender}` : `round ${pair + 1}, ${contender}`);
      use(contender);
      const start = performance.now();
      const output = upscale(network, crop);
      output.dataSync();
      if (pair >= 0) runs[contender].push(performance.now() - start);
      output.dispose();
    }
  }

  const figures = {} as Each<Figures>;
  const pictures = {} as Each<Float32Array>;
  const folder = new URL('../../output/', import.meta.url);
  mkdirSync(folder, {recursive: true});
  const fileOf = (contender: Contender) =>
    new URL(`${contender === 'stock' ? 'stock' : 'im2win'}.png`, folder);
  for (const contender of CONTENDERS) {
    use(contender);
    step(`profile, ${contender}`);
    figures[contender] = {
      firstRunMs: first[contender].milliseconds,
      medianMs: median(runs[contender]),
      minMs: Math.min(...runs[contender]),
      heapGrowthBytes: first[contender].heapGrowth,
      convolutionShare: await convolutionShare(network, crop),
    };
    step(`whole photograph, ${contender}`);
    const output = upscale(network, photograph);
    pictures[contender] = output.dataSync() as Float32Array;
    if (contender !== 'one') writePhotograph(fileOf(contender), output.shape, pictures[contender]);
  }
  writePhotograph(new URL('input.png', folder), photograph.shape, photograph.dataSync() as Float32Array);
  const beside = sideBySide(photograph, [pictures.stock, pictures.all]);
  writePhotograph(new URL('comparison.png', folder), beside.shape, beside.dataSync() as Float32Array);

  return {
    figures,
    speedup: median(runs.stock.map((ms, i) => ms / runs.all[i])),
    speedupOfThreads: median(runs.one.map((ms, i) => ms / runs.all[i])),
    numThreads,
    whyOneThread: im2win.whyOneThread,
    difference: difference(pictures.stock, pictures.all),
    sameBits: Buffer.compare(bytesOf(pictures.one), bytesOf(pictures.all)) === 0,
    routes: summary(im2win),
    pictures: fileURLToPath(folder),
    node: process.version,
    simd: im2win.simd,
  };
}

const bytesOf = ({buffer, byteOffset, byteLength}: Float32Array) =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** A detail of the photograph, enlarged without the network, and of each doubled one. */
function sideBySide(photograph: tf.Tensor4D, doubled: Float32Array[]): tf.Tensor4D {
  const [, height, width] = photograph.shape;
  const shape: [number, number, number, number] = [1, 2 * height, 2 * width, 3];
  const whole = [
    tf.image.resizeNearestNeighbor(photograph, [2 * height, 2 * width]),
    ...doubled.map((values) => tf.tensor4d(values, shape)),
  ];
  return tf.concat(
    whole.map((picture) => tf.slice(picture, [0, 140, 240, 0], [1, 220, 220, 3])),
    2,
  );
}

function summary(im2win: Im2winRegistration): string {
  im2win.setAlgorithm('auto');
  const convolutions = im2win.report().filter(({reason}) => reason?.includes('asked for') !== true);
  const by = (name: string) => convolutions.filter(({algorithm}) => algorithm === name).length;
  return `${by('im2win')} distinct convolutions by plain im2win, ${by('winograd')} by Winograd on its strips, ${by('stock')} by stock`;
}

function printTable({
  figures,
  speedup,
  speedupOfThreads,
  difference: {largest, scale},
  ...rest
}: Awaited<ReturnType<typeof compare>>) {
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  const row = (name: string, show: (figures: Figures) => string) => [
    name,
    ...CONTENDERS.map((contender) => show(figures[contender])),
  ];
  const table = new Table({
    head: [
      `${options.crop}×${options.crop} crop, doubled`,
      'stock',
      'im2win, 1 thread',
      rest.numThreads === 1 ? 'im2win again' : `im2win, ${rest.numThreads} threads`,
    ],
    colAligns: ['left', 'right', 'right', 'right'],
    style: {head: [], border: []},
  });
  table.push(
    row('first run (a process of its own)', ({firstRunMs}) => ms(firstRunMs)),
    row(`median of ${options.pairs}`, ({medianMs}) => ms(medianMs)),
    row('fastest', ({minMs}) => ms(minMs)),
    row(
      'heap growth in the first run',
      ({heapGrowthBytes}) => `${(heapGrowthBytes / 2 ** 20).toFixed(1)} MiB`,
    ),
    row('share of time in convolution', ({convolutionShare}) => `${(100 * convolutionShare).toFixed(0)} %`),
  );
  console.log(`${table}
speed-up            ${speedup.toFixed(2)}× stock (median of the rounds' ratios), ${speedupOfThreads.toFixed(2)}× one thread${rest.whyOneThread ? `; one thread: ${rest.whyOneThread}` : ''}
largest difference  ${largest.toExponential(1)} of ${scale.toFixed(0)} (whole photograph); one thread and all: ${rest.sameBits ? 'the same bits' : 'not the same bits'}
routes              ${rest.routes}, ${rest.simd} SIMD, Node ${rest.node}
pictures            ${rest.pictures}{input,stock,im2win,comparison}.png`);
}

const steps = CONTENDERS.length * (1 + (1 + options.pairs) + 2);
const bar = new SingleBar({
  format: '{bar} {percentage} %  {what}',
  hideCursor: true,
  noTTYOutput: true,
  notTTYSchedule: 5000,
  stream: process.stderr,
});
bar.start(steps, 0, {what: ''});
let done = 0;
const result = await compare((what) => bar.update(done++, {what})).finally(() => bar.stop());

if (options.json) console.log(JSON.stringify(result, undefined, 2));
else printTable(result);

if (!result.sameBits) {
  console.error('One thread and several have not given the same bits.');
  process.exitCode = 1;
}
const {largest, scale} = result.difference;
if (!(largest <= ROUNDING * scale)) {
  console.error(`The outputs differ by ${largest}, more than rounding explains (${ROUNDING * scale}).`);
  process.exitCode = 1;
}
