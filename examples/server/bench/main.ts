// How many pictures a second the service doubles, by whom: processes of their own, asked in turn.
import type {ChildProcess} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import Table from 'cli-table3';
import {program} from 'commander';
import {describeMachine} from '../../../bench/bench.ts';
import {repetitions} from '../../../bench/program.ts';
import {progressBar} from '../../../bench/progress.ts';
import {medianInterval} from '../../../bench/statistics.ts';
import {metric, percentile, send, sendMany} from '../load.ts';
import {startProcess} from '../process.ts';
import {jpegOf, patch} from '../test/setup.ts';

// Where `npm run bench:native` installs tfjs-node; beside the service it would be found without.
const NODE_PATH = fileURLToPath(new URL('../../../bench/native/tfjs-node/node_modules', import.meta.url));

interface Contender {
  readonly name: string;
  readonly options: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

interface Running {
  readonly name: string;
  readonly url: string;
  readonly origin: string;
  readonly child: ChildProcess;
  /** Of each round. */
  readonly rates: number[];
  readonly latencies: number[];
  /** Processor time until the rounds begin. */
  readonly cpuBefore: number;
}

const CONTENDERS: readonly Contender[] = [
  {name: 'stock', options: ['--kernels', 'stock']},
  {name: 'im2win, one thread', options: ['--threads', '1']},
  {name: 'im2win, two threads', options: ['--threads', '2']},
  {name: 'im2win, two workers of one thread', options: ['--threads', '1', '--workers', '2']},
  ...[1, 2].map((threads) => ({
    name: `tfjs-node, ${threads === 1 ? 'one thread' : 'two threads'}`,
    options: ['--kernels', 'native', '--threads', String(threads)],
    environment: {NODE_PATH, TF_CPP_MIN_LOG_LEVEL: '2'},
  })),
];

const options = program
  .name('npm run bench:server --')
  .description('Sends a JPEG of 128×128 pixels to the service again and again, for each way to compute.')
  .option('--reps <n>', 'rounds', repetitions, 7)
  .option('--requests <n>', 'in each round', repetitions, 24)
  .option('--at-a-time <n>', 'requests on the way at any time', repetitions, 8)
  .option('--json', 'print the figures as JSON instead of a table', false)
  .parse()
  .opts<{reps: number; requests: number; atATime: number; json: boolean}>();

const cpuSeconds = async (origin: string) =>
  (await metric(origin, 'process_cpu_seconds_total')) ?? Number.NaN;

const file = jpegOf(patch(128, 128));
const running: Running[] = [];
const bar = progressBar('{what}');
bar.start(CONTENDERS.length + options.reps, 0, {what: 'starting'});
const missing: string[] = [];
for (const {name, options: own, environment} of CONTENDERS) {
  try {
    const {origin, child} = await startProcess(own, environment);
    const url = `${origin}/upscale`;
    // Warm at this size, too.
    for (let i = 0; i < 4; ++i) await send(url, file);
    running.push({name, url, origin, child, rates: [], latencies: [], cpuBefore: await cpuSeconds(origin)});
  } catch (error) {
    missing.push(`${name}: ${(error as Error).message.trim()}`);
  }
  bar.increment({what: name});
}
for (let round = 0; round < options.reps; ++round) {
  for (const {url, rates, latencies} of running) {
    const start = performance.now();
    const answers = await sendMany(url, [file], options);
    rates.push(answers.length / ((performance.now() - start) / 1000));
    const failed = answers.find(({status}) => status !== 200);
    if (failed) throw new Error(`An answer has status ${failed.status}.`);
    latencies.push(...answers.map(({milliseconds}) => milliseconds));
  }
  bar.increment({what: 'rounds'});
}
const rows = [];
for (const {name, origin, child, rates, latencies, cpuBefore} of running) {
  rows.push({
    name,
    perSecond: medianInterval(rates).median,
    // Of neighbouring rounds.
    speedup: medianInterval(rates.map((rate, i) => rate / running[0].rates[i])).median,
    p50: percentile(latencies, 50),
    p99: percentile(latencies, 99),
    // Does not depend on what else the machine does.
    cpuMs: (1000 * ((await cpuSeconds(origin)) - cpuBefore)) / latencies.length,
    residentBytes: await metric(origin, 'process_resident_memory_bytes'),
  });
  child.kill();
}
bar.stop();

const {cpu, cores, engine, tfjs, date} = describeMachine();
if (options.json) {
  console.log(JSON.stringify({cpu, cores, engine, tfjs, date, ...options, rows, missing}, undefined, 2));
} else {
  const table = new Table({
    head: ['', 'pictures a second', '× stock', 'p50 ms', 'p99 ms', 'CPU ms a picture', 'memory MiB'],
    colAligns: ['left', ...Array(6).fill('right')],
    style: {head: [], border: [], compact: true},
  });
  for (const {name, perSecond, speedup, p50, p99, cpuMs, residentBytes = 0} of rows) {
    table.push([
      name,
      perSecond.toFixed(1),
      speedup.toFixed(2),
      p50.toFixed(0),
      p99.toFixed(0),
      cpuMs.toFixed(0),
      (residentBytes / 2 ** 20).toFixed(0),
    ]);
  }
  console.log(
    `${table}\n${options.atATime} requests at a time; ${cpu}, ${cores} cores, ${engine}, tfjs ${tfjs}, ${date}`,
  );
  for (const reason of missing) console.log(`not available: ${reason}`);
}
