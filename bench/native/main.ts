// tfjs-node, which is native TensorFlow, beside stock and im2win: layers and whole networks, each contender in a process of
// its own, in turn.
import {writeFileSync} from 'node:fs';
import Table from 'cli-table3';
import {Option, program} from 'commander';
import {describeMachine} from '../bench.ts';
import {readLayers} from '../layers.ts';
import {outputFile, repetitions, threadCounts} from '../program.ts';
import {progressBar} from '../progress.ts';
import {geometricMean, medianInterval} from '../statistics.ts';
import {FIGURES, type Figure} from '../turn.ts';
import {measure, nameOf, type Row} from './measure.ts';
import {contendersOn, STOCK, type Subject} from './subject.ts';

const NETWORKS = [
  'ESRGAN slim 2×, 128',
  'U-Net 256',
  'ResNet-18 224',
  'ResNet-50 224',
  'YOLOv3-tiny 416',
  'SqueezeNet 1.1 224',
  'MobileNetV1 224',
  'MobileNetV2 224',
  'MoveNet Lightning 192',
  'FaceRes 224',
];

const options = program
  .name('npm run bench:native --')
  .description(
    'Times tfjs-node, with oneDNN and without, beside stock tfjs-backend-wasm and im2win on as many threads.',
  )
  .option('--layers <source>', "as of npm run bench; 'none' for no layers", 'paper')
  .option(
    '--networks <names>',
    "comma-separated parts of names; 'none' for no networks",
    (text) => text.split(','),
    [''],
  )
  .option('--threads <counts>', 'comma-separated', threadCounts, [1, 2])
  .option('--reps <n>', 'repetitions', repetitions, 15)
  .addOption(
    new Option(
      '--by <figure>',
      'what is compared: of a busy machine the fastest runs, or processor time, which is for one thread',
    )
      .choices(['median', 'fastest', 'cpu'])
      .default('median'),
  )
  .option('--json <file>', 'write the figures as JSON as well', outputFile)
  .parse()
  .opts<{
    layers: string;
    networks: string[];
    threads: number[];
    reps: number;
    by: Figure;
    json?: string;
  }>();

const layers: Subject[] =
  options.layers === 'none' ? [] : readLayers(options.layers).map((layer) => ({layer}));
const networks: Subject[] = NETWORKS.filter((name) =>
  options.networks.some((part) => name.toLowerCase().includes(part.toLowerCase())),
).map((network) => ({network}));

const contenders = [STOCK, ...options.threads.flatMap(contendersOn)];
const bar = progressBar('{what}');
bar.start((layers.length + networks.length) * options.reps, 0, {what: 'starting'});
const rows: Row[] = [];
let tensorFlow: string | undefined;
// A network's processes are its own: what one needs is not in another's way.
for (const subjects of [layers, ...networks.map((network) => [network])]) {
  if (subjects.length === 0) continue;
  const measured = await measure(subjects, contenders, options.reps, (what) => bar.increment({what}));
  rows.push(...measured.rows);
  ({tensorFlow} = measured);
}
bar.stop();

const {cpu, cores, engine, tfjs, date} = describeMachine();
if (options.json !== undefined) {
  const machine = {cpu, cores, engine, tfjs, tensorFlow, date};
  writeFileSync(options.json, `${JSON.stringify({machine, rows}, undefined, 2)}\n`);
}

const figure = FIGURES[options.by];
const over =
  options.by === 'fastest'
    ? (values: number[]) => Math.min(...values)
    : (values: number[]) => medianInterval(values).median;

const millisecondsOf = ({turns}: Row) => over(turns.map(figure));

/** How many times as fast as another: by neighbouring rounds, unless only the fastest of all counts. */
function timesAsFast(row: Row, other: Row): number {
  if (options.by === 'fastest') return millisecondsOf(other) / millisecondsOf(row);
  return medianInterval(row.turns.map((turn, round) => figure(other.turns[round]) / figure(turn))).median;
}

function printTable(threads: number, subjects: readonly string[]): void {
  const shown = [STOCK, ...contendersOn(threads)].map(({name}) => name);
  const table = new Table({
    head: ['', ...shown.map((name) => `${name} ms`), 'im2win × stock', 'im2win × tfjs-node'],
    colAligns: ['left', ...Array(shown.length + 2).fill('right')],
    style: {head: [], border: [], compact: true},
  });
  const ratios: {stock: number[]; native: number[]} = {stock: [], native: []};
  for (const subject of subjects) {
    const own = rows.filter((row) => row.subject === subject);
    const of = (name: string) => own.find(({contender}) => contender === name) as Row;
    const im2win = of(`im2win ×${threads}`);
    // The better of its settings.
    const [native] = own
      .filter(({contender}) => contender.startsWith('tfjs-node') && contender.endsWith(`×${threads}`))
      .sort((a, b) => millisecondsOf(a) - millisecondsOf(b));
    const toNative = timesAsFast(im2win, native);
    ratios.native.push(toNative);
    const toStock = timesAsFast(im2win, of(STOCK.name));
    ratios.stock.push(toStock);
    table.push([
      subject,
      ...shown.map((name) => millisecondsOf(of(name)).toFixed(2)),
      toStock.toFixed(2),
      toNative.toFixed(2),
    ]);
  }
  table.push([
    'geometric mean',
    ...shown.map(() => ''),
    geometricMean(ratios.stock).toFixed(2),
    geometricMean(ratios.native).toFixed(2),
  ]);
  console.log(`${table}`);
}

for (const threads of options.threads) {
  for (const subjects of [layers, networks]) {
    if (subjects.length > 0) {
      printTable(threads, subjects.map(nameOf));
    }
  }
}
const difference = Math.max(...rows.map((row) => row.difference));
console.log(
  `${options.reps} rounds, by ${options.by}; largest difference ${difference.toExponential(1)} of the largest output; ${cpu}, ${cores} cores, ` +
    `${engine}, tfjs and tfjs-node ${tfjs}, TensorFlow ${tensorFlow}, ${date}`,
);
