// The benchmark page.
import {proxy} from 'comlink';
import {PAPER_LAYERS} from '../../../bench/layer.ts';
import {geometricMean} from '../../../bench/statistics.ts';
import {version} from '../../../package.json';
import {barCell, byId, headerCell, make, Progress, RunButton, ratioCell, small, times} from './dom.ts';
import {NO_SIMD, type RunningWorker, startWorker} from './startWorker.ts';
import {
  BENCHMARK_INPUTS,
  type BenchmarkVersions,
  type Measured,
  type MeasuredLayer,
  type NetworkName,
  type Threads,
} from './types.ts';
import type {Benchmark} from './workers/benchmark.ts';

/** What the download holds. */
export interface BenchmarkExport {
  readonly environment: BenchmarkVersions & {
    readonly tfjsIm2win: string;
    readonly userAgent: string;
    readonly logicalCores: number;
    /** Whether the page is isolated, and so has a clock of 5 µs in place of 100 µs. */
    readonly isolated: boolean;
    readonly date: string;
  };
  readonly repetitions: number;
  readonly layers: readonly MeasuredLayer[];
  readonly geometricMean: number;
  readonly networks: readonly Measured[];
}

const NETWORKS = Object.keys(BENCHMARK_INPUTS) as NetworkName[];

const progress = new Progress();

new RunButton(async (signal) => {
  const repetitions = Number(byId<HTMLSelectElement>('repetitions').value);
  const threads = byId<HTMLSelectElement>('threads').value as Threads;
  const worker = startWorker<Benchmark>(
    new Worker(new URL('./workers/benchmark.ts', import.meta.url), {type: 'module'}),
    signal,
  );
  clear();
  progress.announce('The benchmark has started.');
  try {
    const result = await measure(worker, repetitions, threads);
    offer(result);
    progress.announce(`Done. ${byId('headline').textContent}`);
  } catch (error) {
    progress.announce(signal.aborted ? 'Cancelled.' : '');
    byId('cancelled').hidden = !signal.aborted;
    throw error;
  } finally {
    worker.end();
    progress.end();
  }
});

async function measure(
  {api, orEnd}: RunningWorker<Benchmark>,
  repetitions: number,
  threads: Threads,
): Promise<BenchmarkExport> {
  progress.start('Starting…');
  const versions = await orEnd(api.start(threads));
  if (versions.simd === 'none') throw new Error(NO_SIMD);
  const parts = PAPER_LAYERS.length + NETWORKS.length;
  let part = 0;
  const ticking = (name: string) => {
    const before = part;
    let repetition = 0;
    const show = () => progress.show((before + repetition / repetitions) / parts, name);
    show();
    return proxy(() => {
      ++repetition;
      show();
    });
  };

  const layers: MeasuredLayer[] = [];
  for (const [index, {name}] of PAPER_LAYERS.entries()) {
    const layer = await orEnd(api.layer(index, repetitions, ticking(`Layer ${name}`)));
    layers.push(layer);
    byId('layer-rows').append(row(layer, make('td', {}, layer.algorithm)));
    ++part;
  }
  const networks: Measured[] = [];
  for (const name of NETWORKS) {
    const network = await orEnd(
      api.network(name, repetitions, ticking(`Network ${BENCHMARK_INPUTS[name].name}`)),
    );
    networks.push(network);
    byId('network-rows').append(row(network));
    byId('networks').hidden = false;
    ++part;
  }
  return {
    environment: {
      ...versions,
      tfjsIm2win: version,
      userAgent: navigator.userAgent,
      logicalCores: navigator.hardwareConcurrency,
      isolated: crossOriginIsolated,
      date: new Date().toISOString(),
    },
    repetitions,
    layers,
    geometricMean: geometricMean(layers.map(({speedup}) => speedup.median)),
    networks,
  };
}

function clear(): void {
  byId('finished').hidden = true;
  byId('cancelled').hidden = true;
  byId('results').hidden = false;
  byId('networks').hidden = true;
  for (const id of ['layer-rows', 'network-rows']) byId(id).replaceChildren();
}

function row(
  {name, milliseconds: {stock, im2win}, speedup}: Measured,
  ...last: HTMLTableCellElement[]
): HTMLTableRowElement {
  const most = Math.max(stock.median, im2win.median);
  return make(
    'tr',
    {},
    headerCell(name),
    barCell(stock.median.toFixed(2), stock.median / most, 'stock'),
    barCell(im2win.median.toFixed(2), im2win.median / most, 'im2win'),
    ratioCell(speedup.median, speedup),
    ...last,
  );
}

/** Says how it went, and offers the figures as a file. */
function offer(result: BenchmarkExport): void {
  const {environment, layers, networks} = result;
  const slowest = layers.reduce((a, b) => (a.speedup.median <= b.speedup.median ? a : b));
  const largest = Math.max(...[...layers, ...networks].map(({difference}) => difference));
  byId('headline').textContent = `${result.geometricMean.toFixed(1)}× as fast`;
  byId('headline-detail').textContent =
    `The geometric mean over the twelve layers; the least is ${times(slowest.speedup.median)}, layer ` +
    `${slowest.name}. ${networks.map(({name, speedup}) => `${name}: ${times(speedup.median)}`).join('; ')}. ` +
    `Outputs differ by at most ${small(largest)} of the largest.`;
  byId('environment').textContent =
    `tfjs ${environment.tfjs}, tfjs-im2win ${environment.tfjsIm2win}, wasm backend, ` +
    `${inWords(environment.threads)}, ` +
    `${environment.simd} SIMD, a clock of ${environment.isolated ? 5 : 100} µs. ${environment.userAgent}`;
  const json = `${JSON.stringify(result, undefined, 2)}\n`;
  byId('download').onclick = () => save(new Blob([json], {type: 'application/json'}));
  byId('finished').hidden = false;
}

function inWords({stock, im2win}: BenchmarkVersions['threads']): string {
  if (stock === 1 && im2win === 1) return 'one thread';
  return `threads: ${stock} of stock, ${im2win} of im2win`;
}

function save(file: Blob): void {
  const href = URL.createObjectURL(file);
  make('a', {href, download: 'tfjs-im2win-benchmark.json'}).click();
  URL.revokeObjectURL(href);
}
