// A server's choice on a machine with a few cores: a process with one thread for each core, or one process with as many
// threads. How many runs of a network a second all of them make, and how long each takes.
import {type ChildProcess, fork} from 'node:child_process';
import {once} from 'node:events';
import os from 'node:os';
import {performance} from 'node:perf_hooks';
import {fileURLToPath} from 'node:url';
import '@tensorflow/tfjs-backend-wasm';
import Table from 'cli-table3';
import {Command} from 'commander';
import {registerIm2win} from 'tfjs-im2win';
import {ARCHITECTURES, buildArchitecture} from './architectures.ts';
import {describeMachine, startBackend} from './bench.ts';
import {repetitions} from './program.ts';
import {progressBar} from './progress.ts';
import {medianInterval} from './statistics.ts';

const MILLISECONDS = 1500;

type Network = keyof typeof ARCHITECTURES;

interface Way {
  readonly processes: number;
  readonly threads: number;
}

/** One process: it runs the network again and again whenever it is asked to, and sends the milliseconds of each run. */
async function serve(name: Network, numThreads: number): Promise<void> {
  await startBackend('wasm', numThreads);
  await registerIm2win({numThreads});
  const {network, x} = buildArchitecture(name);
  const run = () => {
    const start = performance.now();
    const y = network.predict(x) as {dataSync(): unknown; dispose(): void};
    y.dataSync();
    y.dispose();
    return performance.now() - start;
  };
  for (let i = 0; i < 10; ++i) run();
  process.on('message', () => {
    const end = performance.now() + MILLISECONDS;
    const times: number[] = [];
    while (performance.now() < end) times.push(run());
    process.send?.(times);
  });
  process.send?.('ready');
}

async function main({network, rounds, json}: {network: Network; rounds: number; json: boolean}) {
  const cores = os.availableParallelism();
  const ways: Way[] = [
    {processes: 1, threads: 1},
    {processes: cores, threads: 1},
    {processes: 1, threads: Math.min(16, cores)},
  ];
  const script = fileURLToPath(import.meta.url);
  const children = new Map<Way, ChildProcess[]>();
  for (const way of ways) {
    const own = Array.from({length: way.processes}, () =>
      fork(script, ['serve', network, String(way.threads)]),
    );
    for (const child of own) await once(child, 'message');
    children.set(way, own);
  }
  const bar = progressBar('');
  bar.start(rounds * ways.length, 0);
  const rates = new Map(ways.map((way) => [way, [] as number[]]));
  const latencies = new Map(ways.map((way) => [way, [] as number[]]));
  for (let round = 0; round < rounds; ++round) {
    for (const way of ways) {
      const answers = await Promise.all(
        (children.get(way) ?? []).map(async (child): Promise<number[]> => {
          const answer = once(child, 'message');
          child.send('again');
          return (await answer)[0];
        }),
      );
      rates.get(way)?.push((1000 * answers.flat().length) / MILLISECONDS);
      latencies.get(way)?.push(medianInterval(answers.flat()).median);
      bar.increment();
    }
  }
  bar.stop();
  for (const own of children.values()) for (const child of own) child.kill();
  const rows = ways.map((way) => ({
    ...way,
    runsPerSecond: medianInterval(rates.get(way) ?? []),
    milliseconds: medianInterval(latencies.get(way) ?? []),
  }));
  if (json) {
    console.log(JSON.stringify({network, machine: describeMachine(), rows}, undefined, 2));
    return;
  }
  const table = new Table({
    head: [network, 'runs a second', '95 %', 'ms a run', '95 %'],
    colAligns: ['left', 'right', 'right', 'right', 'right'],
    style: {head: [], border: [], compact: true},
  });
  for (const {processes, threads, runsPerSecond, milliseconds} of rows) {
    table.push([
      `${processes} process${processes > 1 ? 'es' : ''}, ${threads} thread${threads > 1 ? 's' : ''} each`,
      runsPerSecond.median.toFixed(1),
      `${runsPerSecond.low.toFixed(1)}–${runsPerSecond.high.toFixed(1)}`,
      milliseconds.median.toFixed(1),
      `${milliseconds.low.toFixed(1)}–${milliseconds.high.toFixed(1)}`,
    ]);
  }
  const {cpu, engine, tfjs, date} = describeMachine();
  console.log(`${table}\n${cpu}, ${engine}, tfjs ${tfjs}, ${date}`);
}

if (process.argv[2] === 'serve') {
  await serve(process.argv[3] as Network, Number(process.argv[4]));
} else {
  await new Command('npm run bench:serving --')
    .description(
      'Many processes with one thread, or one with many: runs of a network a second, and the time of each.',
    )
    .option('--network <name>', Object.keys(ARCHITECTURES).join(', '), 'MobileNetV2 224')
    .option('--rounds <n>', 'of each way, in turn', repetitions, 9)
    .option('--json', 'print the figures as JSON', false)
    .action(main)
    .parseAsync();
}
