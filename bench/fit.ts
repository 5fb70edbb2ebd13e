// Fits the cost model of src/cost.ts, whose costs are in kernels/targets.def: times every plan that a convolution may have,
// and finds the costs, none negative, that explain the times best. Prints them, and
// how much time their choices lose against the fastest plan of each convolution.
import {performance} from 'node:perf_hooks';
import * as tf from '@tensorflow/tfjs-core';
import {Command, Option} from 'commander';
import {fcnnlsVector} from 'ml-fcnnls';
import {candidatePlans} from '../src/candidates.ts';
import {expectedCost, KINDS, workOf} from '../src/cost.ts';
import {runIm2win} from '../src/cpu/im2win.ts';
import {packFilter} from '../src/cpu/pack.ts';
import {packWinograd, runWinograd, winogradValues} from '../src/cpu/winograd.ts';
import type {ConvGeometry} from '../src/geometry.ts';
import type {Flavour} from '../src/plan.ts';
import {TARGETS} from '../src/targets.generated.ts';
import {runConv2d} from '../src/wasm/conv2d.ts';
import {ConvJob} from '../src/wasm/job.ts';
import type {WasmState} from '../src/wasm/state.ts';
import {everyPlan, planName} from './accuracy.ts';
import {startBackend} from './bench.ts';
import {measureDispatch, poolOf} from './dispatch.ts';
import {geometryOf} from './geometry.ts';
import type {Layer} from './layer.ts';
import {readLayers} from './layers.ts';
import {progressBar} from './progress.ts';
import {geometricMean, medianInterval} from './statistics.ts';
import {openState} from './wasmState.ts';

type Target = Flavour | 'cpu';
type Plan = ReturnType<typeof candidatePlans>[number];

const SAMPLES = 9;
const SAMPLE_MS = 1;
// Larger convolutions take long, and tell no more.
const MOST_STEPS: Record<Target, number> = {relaxed: 3e8, strict: 3e8, cpu: 1e7};

interface Timed {
  readonly layer: Layer;
  readonly geometry: ConvGeometry;
  readonly plans: readonly {readonly plan: Plan; readonly milliseconds: number}[];
}

/** A convolution, ready to be computed by each of its plans. */
interface Runner {
  run(plan: Plan): void;
  release(): void;
}

type MakeRunner = (layer: Layer, geometry: ConvGeometry) => Runner;

/** An instance whose every job would be handed out, on one thread. */
async function openOnOneThread(flavour: Flavour): Promise<WasmState> {
  await import('@tensorflow/tfjs-backend-wasm');
  await startBackend('wasm', 2);
  const state = await openState(flavour, {numThreads: 2, dispatch: 'always'});
  poolOf(state).setThreads(1);
  return state;
}

function wasmRunner(state: WasmState): MakeRunner {
  return (layer, geometry) => {
    const x = tf.randomUniform([...layer.xShape], -1, 1);
    const filter = tf.randomUniform([...layer.filterShape], -1, 1);
    const bias = layer.bias ? tf.randomUniform([geometry.outChannels], -1, 1) : undefined;
    const strides = {batch: 0, row: 0, pixel: 0, channel: 1};
    return {
      run(plan) {
        const spec = {geometry, plan, activation: 'relu', bias: bias && strides} as const;
        const [job] = state.jobs.get(plan, 1, (_, offset) => new ConvJob(state.heap, offset, spec));
        const output = runConv2d(state, job, {x, filter, bias, alpha: 0});
        state.backend.disposeData(output.dataId);
      },
      release: () => tf.dispose(bias ? [x, filter, bias] : [x, filter]),
    };
  };
}

const cpuRunner: MakeRunner = (layer, geometry) => {
  const values = (shape: readonly number[]) =>
    Float32Array.from({length: tf.util.sizeFromShape([...shape])}, () => Math.random() - 0.5);
  const x = values(layer.xShape);
  const filter = values(layer.filterShape);
  const packed = new Map<string, Float64Array>();
  const call = {activation: 'relu', leakyreluAlpha: 0} as const;
  return {
    run(plan) {
      if (plan.algorithm === 'winograd') {
        const panels = packed.get(plan.packing) ?? packWinograd(filter, geometry, plan);
        packed.set(plan.packing, panels);
        const workspace = new Float64Array(winogradValues(plan));
        runWinograd(geometry, plan, {...call, x, panels, workspace});
      } else {
        const panels = packed.get(plan.packing) ?? packFilter(filter, geometry, plan.target.tile.nr);
        packed.set(plan.packing, panels);
        runIm2win(geometry, plan, {...call, x, panels, workspace: new Float64Array(plan.stripBytes / 8)});
      }
    },
    release() {},
  };
};

/** Every plan: first those that keep their packed filters, then, on wasm, those that pack them at each call. */
function plansOf(geometry: ConvGeometry, target: Target): readonly Plan[] {
  if (target === 'cpu') {
    return candidatePlans(geometry, {
      target,
      algorithm: 'auto',
      winograd: true,
      maxPackedFilterBytes: Number.POSITIVE_INFINITY,
    });
  }
  return [...everyPlan(geometry, target), ...everyPlan(geometry, target, true).slice(1)];
}

/** The choices that there are: among kept filters, and between plain im2win and filters packed at each call. */
function choicesOf(timed: Timed): Timed[] {
  const [im2win, ...winograd] = timed.plans;
  return [false, true]
    .map((repacks) => winograd.filter(({plan}) => plan.repacks === repacks))
    .filter((plans) => plans.length > 0)
    .map((plans) => ({...timed, plans: [im2win, ...plans]}));
}

/** The fastest of some interleaved samples, as the machine may have other work. */
function timePlans(layer: Layer, geometry: ConvGeometry, plans: readonly Plan[], runner: Runner): Timed {
  const fastest = plans.map(() => Number.POSITIVE_INFINITY);
  for (let sample = 0; sample <= SAMPLES; ++sample) {
    plans.forEach((plan, i) => {
      runner.run(plan); // Its own packed filter into the cache.
      const start = performance.now();
      let calls = 0;
      do {
        runner.run(plan);
        ++calls;
      } while (performance.now() - start < SAMPLE_MS);
      // The first sample is the compiler's.
      if (sample > 0) fastest[i] = Math.min(fastest[i], (performance.now() - start) / calls);
    });
  }
  return {layer, geometry, plans: plans.map((plan, i) => ({plan, milliseconds: fastest[i]}))};
}

/** Least squares of the relative errors. */
function fitCosts(timed: readonly Timed[]): number[] {
  const rows = timed.flatMap(({geometry, plans}) =>
    plans.map(({plan, milliseconds}) => {
      const work = workOf(geometry, plan);
      return KINDS.map((kind) => work[kind] / milliseconds / 1e6);
    }),
  );
  const costs = fcnnlsVector(
    rows,
    rows.map(() => 1),
  ).K.to1DArray();
  return costs.map((cost) => cost / costs[KINDS.indexOf('steps')]);
}

function costWith(costs: readonly number[]) {
  return (geometry: ConvGeometry, plan: Plan) => {
    const work = workOf(geometry, plan);
    return KINDS.reduce((sum, kind, i) => sum + work[kind] * costs[i], 0);
  };
}

/** Moves one cost at a time, as long as the choices lose less by it: costs matter where they decide. */
function refine(timed: readonly Timed[], start: readonly number[]): number[] {
  const loss = (costs: readonly number[]) =>
    timed.reduce((sum, entry) => sum + (regret(entry, costWith(costs)) - 1) ** 2, 0);
  let best = start.map((cost) => Math.max(cost, 0.01));
  let least = loss(best);
  for (let round = 0; round < 20; ++round) {
    const before = least;
    for (let kind = 0; kind < KINDS.length; ++kind) {
      if (KINDS[kind] === 'steps') continue;
      for (const factor of [0.4, 0.6, 0.8, 0.9, 1.1, 1.25, 1.7, 2.5]) {
        const moved = best.map((cost, i) => (i === kind ? cost * factor : cost));
        if (loss(moved) < least) {
          least = loss(moved);
          best = moved;
        }
      }
    }
    if (least === before) break;
  }
  return best;
}

function regret({geometry, plans}: Timed, cost: (geometry: ConvGeometry, plan: Plan) => number): number {
  const chosen = plans.reduce((a, b) => (cost(geometry, b.plan) < cost(geometry, a.plan) ? b : a));
  return chosen.milliseconds / Math.min(...plans.map(({milliseconds}) => milliseconds));
}

async function main(target: Target): Promise<void> {
  const state = target === 'cpu' ? undefined : await openOnOneThread(target);
  const makeRunner = state === undefined ? cpuRunner : wasmRunner(state);
  const layers = [...readLayers('paper'), ...readLayers('corpus')]
    .map((layer) => ({layer, geometry: geometryOf(layer)}))
    .map((entry) => ({...entry, plans: plansOf(entry.geometry, target)}))
    .filter(({geometry, plans}) => plans.length > 1 && workOf(geometry, plans[0]).steps < MOST_STEPS[target]);
  const bar = progressBar('{value} of {total}');
  bar.start(layers.length, 0);
  const timed = layers.flatMap(({layer, geometry, plans}) => {
    const runner = makeRunner(layer, geometry);
    const result = timePlans(layer, geometry, plans, runner);
    runner.release();
    bar.increment();
    return choicesOf(result);
  });
  bar.stop();

  const costs = refine(timed, fitCosts(timed));
  const fitted = costWith(costs);
  const current = (geometry: ConvGeometry, plan: Plan) => expectedCost(geometry, plan);
  console.log(`The column ${TARGETS[target].name} of kernels/targets.def:`);
  KINDS.forEach((kind, i) => {
    console.log(`${`costs.${kind}`.padEnd(20)}${Number(costs[i].toPrecision(2))}`);
  });
  if (state !== undefined) {
    const latencies = await measureDispatch(state, target as Flavour, 200);
    const millisecondsPerStep = medianInterval(
      timed.flatMap(({geometry, plans}) =>
        plans.map(({plan, milliseconds}) => milliseconds / fitted(geometry, plan)),
      ),
    ).median;
    for (const [kind, {median}] of Object.entries(latencies)) {
      // Two threads save half of a job.
      const steps = (2 * Math.max(0, median)) / millisecondsPerStep;
      console.log(`${`dispatch.${kind}`.padEnd(20)}${Number(steps.toPrecision(2))}`);
    }
  }
  for (const [name, cost] of [
    ['fitted', fitted],
    ['in use', current],
  ] as const) {
    const regrets = timed.map((entry) => regret(entry, cost));
    console.log(
      `${name}: the plans chosen take ${geometricMean(regrets).toFixed(3)} times as long as the fastest ` +
        `(geometric mean over ${timed.length} choices), ${Math.max(...regrets).toFixed(2)} at worst`,
    );
    const worst = timed
      .map((entry, i) => ({entry, regret: regrets[i]}))
      .sort((a, b) => b.regret - a.regret)
      .slice(0, 5);
    for (const {entry, regret: lost} of worst) {
      const plans = entry.plans
        .map(
          ({plan, milliseconds}) =>
            `${planName(plan)} ${milliseconds.toFixed(2)} ms, ` +
            `expected ${((cost(entry.geometry, plan) / cost(entry.geometry, entry.plans[0].plan)) * entry.plans[0].milliseconds).toFixed(2)}`,
        )
        .join('; ');
      console.log(`  ${lost.toFixed(2)}  ${entry.layer.name}: ${plans}`);
    }
  }
}

await new Command('npm run bench:fit --')
  .description('Fits the cost model of src/cost.ts to this machine, for one target.')
  .addOption(
    new Option('--target <name>', 'what the plans are made for')
      .choices(['relaxed', 'strict', 'cpu'])
      .default('relaxed'),
  )
  .action(({target}: {target: Target}) => main(target))
  .parseAsync()
  .catch((error: Error) => {
    console.error(`error: ${error.message}`);
    process.exitCode = 1;
  });
