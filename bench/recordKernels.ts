// Runs every network on stock, and writes down the calls of all kernels but the convolutions: bench/around.json.
import {writeFileSync} from 'node:fs';
import {performance} from 'node:perf_hooks';
import {fileURLToPath} from 'node:url';
import * as tf from '@tensorflow/tfjs-core';
import {program} from 'commander';
import {CONV_KERNELS} from '../src/convKernels.ts';
import {replaceKernel} from '../src/registry.ts';
import type {LoadedNetwork} from './network.ts';
import {NETWORKS} from './networks.ts';
import {progressBar} from './progress.ts';
import {formatRecording, formatTensor, type KernelCall, mapInputs, parseTensor} from './recording.ts';

const {out} = program
  .name('npm run record:kernels --')
  .description('Records the calls of kernels that networks make around their convolutions.')
  .option('--out <file>', 'where to', fileURLToPath(new URL('around.json', import.meta.url)))
  .parse()
  .opts<{out: string}>();

const CONVOLUTIONS: ReadonlySet<string> = new Set(CONV_KERNELS.map(({name}) => name));
const RUNS = 10;

type Inputs = Readonly<Record<string, tf.TensorInfo | undefined>> | readonly tf.TensorInfo[];

/** What a run consists of, in its order: what tfjs does before a kernel's call, and the call. */
interface Part {
  readonly kind: 'script' | 'convolution' | 'around';
  milliseconds: number;
}

/** The calls of each network's first run, and what the parts of later runs take. */
class Recorder {
  private readonly seen = new Map<
    string,
    {call: Omit<KernelCall, 'networks'>; networks: Record<string, number>}
  >();
  private recording: string | undefined;
  private parts: Part[] = [];
  private lastEnd = 0;

  /** Wraps all kernels of the backend. */
  wrap(backend: string): void {
    for (const {kernelName} of tf.getKernelsForBackend(backend)) {
      const kind = CONVOLUTIONS.has(kernelName) ? 'convolution' : 'around';
      replaceKernel(kernelName, backend, (stock) => {
        const {kernelFunc, ...config} = stock as tf.KernelConfig;
        return {
          ...config,
          kernelFunc: (call) => {
            if (this.recording !== undefined && kind === 'around') {
              this.add(this.recording, kernelName, call.inputs, call.attrs);
            }
            this.endPart('script');
            const outputs = kernelFunc(call);
            this.endPart(kind);
            return outputs;
          },
        };
      });
    }
  }

  /**
   * Each part counts as it was in the run in which it was shortest: another process is seldom in the way of the same one
   * in all runs.
   *
   * @returns The part of the time that kernels around convolutions take.
   */
  async record(name: string, network: LoadedNetwork): Promise<number> {
    this.recording = name;
    await this.run(network);
    this.recording = undefined;
    const shortest = await this.run(network);
    for (let run = 1; run < RUNS; ++run) {
      const parts = await this.run(network);
      parts.forEach(({milliseconds}, i) => {
        if (shortest[i] !== undefined)
          shortest[i].milliseconds = Math.min(shortest[i].milliseconds, milliseconds);
      });
    }
    const sum = (parts: readonly Part[]) => parts.reduce((total, {milliseconds}) => total + milliseconds, 0);
    return sum(shortest.filter(({kind}) => kind === 'around')) / sum(shortest);
  }

  /** By kernel, and the largest first. */
  get calls(): KernelCall[] {
    const size = ({inputs}: KernelCall) =>
      Object.values(inputs).reduce((sum, {shape}) => sum + tf.util.sizeFromShape([...shape]), 0);
    return [...this.seen.values()]
      .map(({call, networks}) => ({...call, networks}))
      .sort((a, b) => (a.kernel === b.kernel ? size(b) - size(a) : a.kernel < b.kernel ? -1 : 1));
  }

  private async run(network: LoadedNetwork): Promise<Part[]> {
    this.parts = [];
    this.lastEnd = performance.now();
    for (const output of await network.predict()) {
      output.dataSync();
      output.dispose();
    }
    this.endPart('script');
    return this.parts;
  }

  private endPart(kind: Part['kind']): void {
    const now = performance.now();
    this.parts.push({kind, milliseconds: now - this.lastEnd});
    this.lastEnd = now;
  }

  private add(name: string, kernel: string, inputs: unknown, attrs: tf.NamedAttrMap | undefined): void {
    // Inputs may be left out, such as a bias.
    const given = Array.isArray(inputs)
      ? (inputs as tf.TensorInfo[])
      : Object.fromEntries(Object.entries(inputs as Inputs).filter(([, tensor]) => tensor != null));
    const texts = mapInputs(given as Record<string, tf.TensorInfo>, formatTensor);
    const key = JSON.stringify([kernel, texts, attrs], (_, value) =>
      typeof value === 'number' ? String(value) : value,
    );
    const known = this.seen.get(key) ?? {
      call: {kernel, inputs: mapInputs(texts, parseTensor), attrs: structuredClone(attrs ?? {})},
      networks: {},
    };
    this.seen.set(key, known);
    known.networks[name] = (known.networks[name] ?? 0) + 1;
  }
}

await tf.setBackend('wasm');
const recorder = new Recorder();
recorder.wrap('wasm');
const shares: Record<string, number> = {};
const names = Object.keys(NETWORKS);
const bar = progressBar('{network}');
bar.start(names.length, 0, {network: ''});
for (const name of names) {
  const network = await NETWORKS[name]();
  shares[name] = await recorder.record(name, network);
  network.model?.dispose();
  bar.increment({network: name});
}
bar.stop();
writeFileSync(out, formatRecording({shares, calls: recorder.calls}));
console.log(`${recorder.calls.length} calls of ${names.length} networks: ${out}`);
