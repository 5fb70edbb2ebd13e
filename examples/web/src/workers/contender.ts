// One contender in a worker of its own, with a tfjs and a heap of its own: stock, or with im2win.
import * as tf from '@tensorflow/tfjs-core';
import {expose, transfer} from 'comlink';
import {type Im2winRegistration, registerIm2win} from 'tfjs-im2win';
import {type OptimizedModel, optimizeModel} from 'tfjs-im2win/optimize';
import type {ContenderName, LayerTime, NetworkName, Run, Versions} from '../types.ts';
import {heapBytes, startBackend} from './backend.ts';
import {loadNetwork, type Network} from './networks.ts';

let network: Network;
let im2win: Im2winRegistration | undefined;
let optimize = false;
let optimized: OptimizedModel | undefined;

const contender = {
  /**
   * @param fewerKernels Whether the network runs after `optimizeModel`.
   * @param onProgress Told the share of the network that has come, 0 to 1.
   * @throws Error if the backend or the network cannot be loaded.
   */
  async start(
    name: ContenderName,
    networkName: NetworkName,
    fewerKernels: boolean,
    onProgress: (share: number) => void,
  ): Promise<Versions> {
    await startBackend();
    if (name === 'im2win') im2win = await registerIm2win();
    network = await loadNetwork(networkName, onProgress);
    optimize = fewerKernels;
    return {tfjs: tf.version_core, simd: im2win?.simd ?? 'none'};
  },

  /** Runs the network once. The first run's time has that of `optimizeModel` in it. */
  async run(picture: ImageData): Promise<Run> {
    const pixels = tf.browser.fromPixels(picture);
    let milliseconds = 0;
    if (optimize && optimized === undefined) {
      const start = performance.now();
      optimized = await optimizeModel(network.model);
      milliseconds = performance.now() - start;
    }
    let values = new Float32Array();
    const {kernels, result} = await tf.profile(() => {
      const start = performance.now();
      const output = network.predict(pixels);
      values = output.dataSync<'float32'>() as Float32Array<ArrayBuffer>;
      milliseconds += performance.now() - start;
      return output;
    });
    tf.dispose([pixels, result]);
    const run = {
      milliseconds,
      values,
      layers: await layerTimes(kernels),
      heapBytes: heapBytes(),
      ownBytes: im2win?.memory().ownBytes ?? 0,
      optimized: optimized && {changes: optimized.changes, reasons: optimized.reasons},
    };
    return transfer(run, [values.buffer]);
  },
};
export type Contender = typeof contender;

type Kernels = Awaited<ReturnType<typeof tf.profile>>['kernels'];

async function layerTimes(kernels: Kernels): Promise<LayerTime[]> {
  const records = im2win?.report() ?? [];
  return Promise.all(
    kernels
      // tfjs lists an op beside the kernels that it ran.
      .filter(({name}) => !name.endsWith('__op'))
      .map(async ({name, inputShapes, outputShapes, kernelTimeMs}) => {
        const [xShape = [], filterShape] = inputShapes;
        const [outShape = []] = outputShapes as number[][];
        const record = records.find(
          (one) =>
            one.kernelName === name &&
            same(one.xShape, xShape) &&
            same(one.filterShape, filterShape ?? []) &&
            same(one.outShape, outShape),
        );
        return {
          kernelName: name,
          xShape,
          filterShape: /conv/i.test(name) ? filterShape : undefined,
          outShape,
          milliseconds: (await kernelTimeMs) as number,
          algorithm: record?.algorithm,
          reason: record?.reason,
        };
      }),
  );
}

const same = (a: readonly number[], b: readonly number[]) => a.join() === b.join();

expose(contender);
