// The benchmark: the paper's twelve layers and whole networks, stock and im2win in turn on one tfjs.
import * as tf from '@tensorflow/tfjs-core';
import {expose} from 'comlink';
import {registerIm2win} from 'tfjs-im2win';
import {registeredContenders} from '../../../../bench/contender.ts';
import {PAPER_LAYERS} from '../../../../bench/layer.ts';
import {measureLayer} from '../../../../bench/measure.ts';
import {type Interval, medianInterval} from '../../../../bench/statistics.ts';
import {difference} from '../../../super-resolution/statistics.ts';
import {
  BENCHMARK_INPUTS,
  type BenchmarkVersions,
  CONTENDERS,
  type Each,
  type Measured,
  type MeasuredLayer,
  type NetworkName,
  type Threads,
} from '../types.ts';
import {startBackend} from './backend.ts';
import {loadNetwork} from './networks.ts';

// Networks end in sums of sums: 1e-3 of the largest output is far beyond rounding.
const NETWORK_BOUND = 1e-3;
// Where the clock has steps of 100 µs, a sample takes more calls.
const SAMPLE_MS = crossOriginIsolated ? undefined : 10;

/** Of im2win. */
let numThreads = 1;

const benchmark = {
  async start(threads: Threads): Promise<BenchmarkVersions> {
    // Before the backend, so that its heap is one that threads share.
    const registration = await registerIm2win(threads === 'one' ? {numThreads: 1} : {});
    await startBackend();
    ({numThreads} = registration);
    const {simd} = registration;
    registration.unregister();
    return {tfjs: tf.version_core, simd, threads: {stock: 1, im2win: numThreads}};
  },

  /**
   * @param tick Called after each repetition.
   * @throws Error if the outputs differ by more than rounding.
   */
  async layer(index: number, repetitions: number, tick: () => void): Promise<MeasuredLayer> {
    const contenders = registeredContenders('wasm', 'auto', [numThreads]).filter(({name}) =>
      /stock|auto/.test(name),
    );
    const {rows} = await measureLayer(PAPER_LAYERS[index], contenders, repetitions, tick, SAMPLE_MS);
    const [stock, auto] = rows;
    return {
      name: stock.layer,
      milliseconds: {stock: stock.milliseconds, im2win: auto.milliseconds},
      speedup: auto.speedup as Interval,
      difference: auto.difference,
      algorithm: auto.route,
    };
  },

  /**
   * @param tick Called after each repetition.
   * @throws Error if the outputs differ by more than rounding.
   */
  async network(name: NetworkName, repetitions: number, tick: () => void): Promise<Measured> {
    const {name: title, side} = BENCHMARK_INPUTS[name];
    const network = await loadNetwork(name);
    const registration = await registerIm2win({numThreads});
    const pixels = tf.randomUniform([side, side, 3], 0, 255, 'int32', 7) as tf.Tensor3D;
    const times: Each<number[]> = {stock: [], im2win: []};
    const outputs = {} as Each<Float32Array>;
    for (let repetition = -1; repetition < repetitions; ++repetition) {
      for (const contender of CONTENDERS) {
        registration.setAlgorithm(contender === 'stock' ? 'stock' : 'auto');
        const start = performance.now();
        const output = network.predict(pixels);
        const values = output.dataSync<'float32'>();
        const milliseconds = performance.now() - start;
        output.dispose();
        if (repetition < 0) outputs[contender] = values;
        else times[contender].push(milliseconds);
      }
      if (repetition >= 0) tick();
    }
    pixels.dispose();
    registration.unregister();
    const {largest, scale} = difference(outputs.stock, outputs.im2win);
    if (!(largest <= NETWORK_BOUND * scale)) {
      throw new Error(`${title}: the outputs differ by ${largest / scale} of the largest output.`);
    }
    return {
      name: title,
      milliseconds: {stock: medianInterval(times.stock), im2win: medianInterval(times.im2win)},
      speedup: medianInterval(times.stock.map((ms, i) => ms / times.im2win[i])),
      difference: largest / scale,
    };
  },
};
export type Benchmark = typeof benchmark;

expose(benchmark);
