// Measures contenders on one layer: interleaved, so that a machine whose speed
// drifts is fair to all, and compared by the ratios of neighbouring runs.
import * as tf from '@tensorflow/tfjs-core';
import {
  CannotRun,
  type Contender,
  flopsOf,
  type LayerOperands,
  type Output,
  type OwnBytes,
  outputSize,
} from './contender.ts';
import type {Layer} from './layer.ts';
import {type Interval, medianInterval} from './statistics.ts';

export interface Row {
  readonly layer: string;
  /** The filter's size and the strides: what summaries group by. */
  readonly kind: string;
  readonly contender: string;
  /** The algorithm that was taken. */
  readonly route: string;
  readonly milliseconds: Interval;
  readonly gflops: number;
  /** Stock's time over this one's; missing if stock was not measured. */
  readonly speedup?: Interval;
  /** Largest difference from the first contender, relative to the largest output. */
  readonly difference: number;
  /** Missing where it cannot be known. */
  readonly ownBytes?: OwnBytes;
  /** The first call, filter packing included. */
  readonly firstMilliseconds: number;
  /** What a call takes longer if its filter is new; missing where it cannot be. */
  readonly repackMilliseconds?: number;
}

export interface Skipped {
  readonly layer: string;
  readonly contender: string;
  readonly error: string;
}

// A sample is as many calls as take this long, for the clock's sake.
const SAMPLE_MS = 1.5;
const REPACK_SAMPLES = 5;

/**
 * @throws Error if two contenders' outputs differ by more than rounding: nothing
 *     is timed then.
 */
export async function measureLayer(
  layer: Layer,
  contenders: readonly Contender[],
  repetitions: number,
  tick: () => void,
  sampleMs = SAMPLE_MS,
): Promise<{rows: Row[]; skipped: Skipped[]}> {
  const operands = makeOperands(layer);
  const skipped: Skipped[] = [];
  const runners: Runner[] = [];
  for (const contender of contenders) {
    try {
      runners.push(await firstCall(contender, layer, operands));
    } catch (error) {
      if (!(error instanceof CannotRun)) throw error;
      skipped.push({layer: layer.name, contender: contender.name, error: error.message});
    }
  }
  for (const runner of runners) checkOutput(layer, runners[0], runner);

  for (const {contender} of runners) await contender.settle?.(layer, operands);
  // A later contender's start may have dropped an earlier one's packed filter.
  for (const {contender} of runners) (await contender.run(layer, operands)).dispose();

  const samples = new Map(runners.map((runner) => [runner, [] as number[]]));
  // All make as many calls, and the order rotates. So none always runs behind the same other one, which may
  // have left their common packed filter in the caches.
  const calls = Math.max(1, Math.ceil(sampleMs / Math.min(...runners.map(({fastestMs}) => fastestMs))));
  for (let repetition = 0; repetition < repetitions; ++repetition) {
    for (let place = 0; place < runners.length; ++place) {
      const runner = runners[(place + repetition) % runners.length];
      samples.get(runner)?.push(await sample(runner, layer, operands, calls));
    }
    tick();
  }
  const stock = samples.get(runners.find(({contender}) => contender.name === 'stock') as Runner);
  const rows: Row[] = [];
  for (const runner of runners) {
    const times = samples.get(runner) ?? [];
    const milliseconds = medianInterval(times);
    rows.push({
      layer: layer.name,
      kind: `${layer.filterShape[0]}×${layer.filterShape[1]}/${layer.strides[0]}`,
      contender: runner.contender.name,
      route: runner.route,
      milliseconds,
      gflops: flopsOf(layer) / milliseconds.median / 1e6,
      speedup: stock && medianInterval(times.map((ms, i) => stock[i] / ms)),
      difference: runner.difference,
      ownBytes: runner.ownBytes,
      firstMilliseconds: runner.firstMilliseconds,
      repackMilliseconds: runner.contender.fixedFilter
        ? undefined
        : Math.max(0, (await repack(runner, layer, operands)) - milliseconds.median),
    });
  }
  // In reverse, because each has wrapped what it found.
  for (const contender of [...contenders].reverse()) await contender.stop?.();
  for (const tensor of Object.values(operands)) tensor?.dispose();
  return {rows, skipped};
}

interface Runner {
  readonly contender: Contender;
  readonly route: string;
  readonly output: Float32Array;
  readonly ownBytes: OwnBytes | undefined;
  readonly firstMilliseconds: number;
  readonly fastestMs: number;
  difference: number;
}

async function firstCall(contender: Contender, layer: Layer, operands: LayerOperands): Promise<Runner> {
  await contender.start(layer, operands);
  const first = await timed(contender, layer, operands);
  const output = first.output.dataSync() as Float32Array;
  first.output.dispose();
  const route = contender.route?.(layer) ?? contender.name;
  const ownBytes = contender.ownBytes?.(layer);
  // The code is compiled anew in the background after some calls; wait for the fast one.
  let fastest = Number.POSITIVE_INFINITY;
  for (
    let call = 0, start = performance.now();
    call < 3 || (call < 50 && performance.now() - start < 20);
    ++call
  ) {
    const {milliseconds, output: again} = await timed(contender, layer, operands);
    again.dispose();
    fastest = Math.min(fastest, milliseconds);
  }
  return {
    contender,
    route,
    output,
    ownBytes,
    firstMilliseconds: first.milliseconds,
    fastestMs: fastest,
    difference: 0,
  };
}

async function timed(
  contender: Contender,
  layer: Layer,
  operands: LayerOperands,
): Promise<{milliseconds: number; output: Output}> {
  const start = performance.now();
  const running = contender.run(layer, operands);
  // To await an output that is there already would be measured, too.
  const output = running instanceof Promise ? await running : running;
  return {milliseconds: performance.now() - start, output};
}

async function sample(
  {contender}: Runner,
  layer: Layer,
  operands: LayerOperands,
  calls: number,
): Promise<number> {
  // Untimed: brings its own packed filter into the caches, and drives the one before's out.
  (await contender.run(layer, operands)).dispose();
  const start = performance.now();
  for (let call = 0; call < calls; ++call) {
    const running = contender.run(layer, operands);
    (running instanceof Promise ? await running : running).dispose();
  }
  return (performance.now() - start) / calls;
}

async function repack({contender}: Runner, layer: Layer, operands: LayerOperands): Promise<number> {
  const times: number[] = [];
  for (let repetition = 0; repetition < REPACK_SAMPLES; ++repetition) {
    const filter = tf.clone(operands.filter); // On wasm a copy, with data of its own.
    const {milliseconds, output} = await timed(contender, layer, {...operands, filter});
    times.push(milliseconds);
    output.dispose();
    filter.dispose();
  }
  return medianInterval(times).median;
}

/** Two sums of the same K products: each may be off by Winograd's bound, max(1e-5, 4·√K·2⁻²⁴). */
export function roundingBound({filterShape: [filterHeight, filterWidth, inChannels]}: Layer): number {
  const depth = filterHeight * filterWidth * inChannels;
  return 2 * Math.max(1e-5, 4 * Math.sqrt(depth) * 2 ** -24);
}

function checkOutput(layer: Layer, expected: Runner, runner: Runner): void {
  const bound = roundingBound(layer);
  let scale = 0;
  let largest = 0;
  expected.output.forEach((value, i) => {
    scale = Math.max(scale, Math.abs(value));
    largest = Math.max(largest, Math.abs(value - runner.output[i])); // NaN stays.
  });
  runner.difference = scale > 0 ? largest / scale : largest;
  if (!(runner.difference <= bound)) {
    throw new Error(
      `${layer.name}: ${runner.contender.name} and ${expected.contender.name} differ by ${runner.difference} of the ` +
        `largest output; rounding explains ${bound}.`,
    );
  }
}

export function makeOperands(layer: Layer): LayerOperands {
  const {outChannels} = outputSize(layer);
  const uniform = (shape: readonly number[], seed: number) =>
    tf.randomUniform([...shape], -1, 1, 'float32', seed);
  return {
    x: uniform(layer.xShape, 1) as tf.Tensor4D,
    filter: uniform(layer.filterShape, 2) as tf.Tensor4D,
    ...(layer.bias ? {bias: uniform([outChannels], 3) as tf.Tensor1D} : {}),
    ...(layer.activation === 'prelu'
      ? {preluActivationWeights: uniform([outChannels], 4) as tf.Tensor1D}
      : {}),
  };
}
