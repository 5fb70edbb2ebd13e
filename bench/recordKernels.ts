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
const RUNS = 8;

type Inputs = Readonly<Record<string, tf.TensorInfo | undefined>> | readonly tf.TensorInfo[];

/** The calls of one network's first run, and the milliseconds since a run began. */
class Recorder {
  private readonly seen = new Map<
    string,
    {call: Omit<KernelCall, 'networks'>; networks: Record<string, number>}
  >();
  private recording: string | undefined;
  private around = 0;

  /** Wraps all kernels of the backend. */
  wrap(backend: string): void {
    for (const {kernelName} of tf.getKernelsForBackend(backend)) {
      const isConvolution = CONVOLUTIONS.has(kernelName);
      replaceKernel(kernelName, backend, (stock) => {
        const {kernelFunc, ...config} = stock as tf.KernelConfig;
        return {
          ...config,
          kernelFunc: (call) => {
            if (isConvolution) return kernelFunc(call);
            if (this.recording !== undefined) this.add(this.recording, kernelName, call.inputs, call.attrs);
            const start = performance.now();
            const outputs = kernelFunc(call);
            this.around += performance.now() - start;
            return outputs;
          },
        };
      });
    }
  }

  /** @returns The part of the time that is spent in these kernels, in the shortest run: in the least disturbed one. */
  async record(name: string, network: LoadedNetwork): Promise<number> {
    this.recording = name;
    await this.run(network);
    this.recording = undefined;
    let shortest = {milliseconds: Number.POSITIVE_INFINITY, around: 0};
    for (let run = 0; run < RUNS; ++run) {
      const milliseconds = await this.run(network);
      if (milliseconds < shortest.milliseconds) shortest = {milliseconds, around: this.around};
    }
    return shortest.around / shortest.milliseconds;
  }

  /** By kernel, and the largest first. */
  get calls(): KernelCall[] {
    const size = ({inputs}: KernelCall) =>
      Object.values(inputs).reduce((sum, {shape}) => sum + tf.util.sizeFromShape([...shape]), 0);
    return [...this.seen.values()]
      .map(({call, networks}) => ({...call, networks}))
      .sort((a, b) => (a.kernel === b.kernel ? size(b) - size(a) : a.kernel < b.kernel ? -1 : 1));
  }

  /** @returns Its milliseconds. */
  private async run(network: LoadedNetwork): Promise<number> {
    this.around = 0;
    const start = performance.now();
    for (const output of await network.predict()) {
      output.dataSync();
      output.dispose();
    }
    return performance.now() - start;
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
  network.dispose?.();
  bar.increment({network: name});
}
bar.stop();
writeFileSync(out, formatRecording({shares, calls: recorder.calls}));
console.log(`${recorder.calls.length} calls of ${names.length} networks: ${out}`);
