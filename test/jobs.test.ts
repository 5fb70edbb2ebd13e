// A job's tasks in any order, on any instance of the module, each with a scratch that holds anything: the bits
// of the serial run. This is what threads rely on.
import {everyPlan, planName} from '../bench/accuracy.ts';
import {kernelsOf} from '../bench/wasmState.ts';
import {type ConvGeometry, convGeometry} from '../src/geometry.ts';
import {planGradient} from '../src/gradientPlan.ts';
import {operandStrides, residualStrides} from '../src/operand.ts';
import type {ConvPlan, Flavour, PlanContext} from '../src/plan.ts';
import {planOurs} from '../src/planner.ts';
import {convTasks, shareOut} from '../src/tasks.ts';
import {runConv2d} from '../src/wasm/conv2d.ts';
import {
  gradientJob,
  phaseJob,
  plainJob,
  runFilterGradient,
  runInputRows,
  runTransposed,
} from '../src/wasm/gradients.ts';
import {ConvJob, type Job} from '../src/wasm/job.ts';
import {instantiateKernels, type KernelExports} from '../src/wasm/module.ts';
import {WasmState} from '../src/wasm/state.ts';
import {sharedBackend} from './sharedBackend.ts';
import {convCase, floats, size} from './tf.ts';

const context = (flavour: Flavour): PlanContext => ({
  target: flavour,
  algorithm: 'auto',
  winograd: true,
});

const MEMORY_PAGES = 1024;
const MOST_SCRATCH = 2 ** 20;

/** One memory, an instance of the backend on it, and further instances of the kernels. */
async function open(flavour: Flavour) {
  const memory = new WebAssembly.Memory({initial: MEMORY_PAGES, maximum: MEMORY_PAGES, shared: true});
  const backend = sharedBackend(memory);
  const modules = await kernelsOf(flavour, true);
  const state = WasmState.create(backend, modules);
  if (typeof state === 'string') throw new Error(state);
  const instances = Array.from({length: 3}, () => instantiateKernels(modules, memory, true) as KernelExports);
  const values = new Float32Array(memory.buffer);
  // One scratch serves all tests, because the stand-in takes no memory back.
  const scratch = state.heap.allocate(MOST_SCRATCH + 64, 'a scratch').offset;
  return {
    state,
    scratch,
    instances,
    values,
    place(shape: readonly number[], seed: number) {
      const tensor = backend.makeOutput([...shape], 'float32');
      values.set(floats(size(shape), seed), (backend.dataIdMap.get(tensor.dataId).memoryOffset ?? 0) / 4);
      return tensor;
    },
    offsetOf: (tensor: {dataId: object}) => backend.dataIdMap.get(tensor.dataId).memoryOffset ?? 0,
  };
}

type World = Awaited<ReturnType<typeof open>>;

/** The numbers from `first` to `last`, in an order that depends on the seed alone. */
function shuffled(first: number, last: number, seed: number): number[] {
  const numbers = Array.from({length: last - first}, (_, i) => first + i);
  let state = seed;
  for (let i = numbers.length - 1; i > 0; --i) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    const j = state % (i + 1);
    [numbers[i], numbers[j]] = [numbers[j], numbers[i]];
  }
  return numbers;
}

/** Runs tasks one by one, instance after instance, a scratch full of NaN for each. */
function runShuffled(
  {instances, values, scratch}: World,
  count: number,
  scratchBytes: number,
  numbers: readonly number[],
  run: (kernels: KernelExports, task: number, scratch: number) => void,
) {
  if (scratchBytes > MOST_SCRATCH) throw new Error(`a scratch of ${scratchBytes} bytes`);
  const from = scratch / 4;
  const guard = from + scratchBytes / 4;
  for (const [i, task] of numbers.entries()) {
    values.fill(Number.NaN, from, guard);
    values.fill(12345, guard, guard + 16);
    run(instances[i % Math.min(count, instances.length)], task, scratch);
    // No task writes behind its scratch.
    for (let w = guard; w < guard + 16; ++w)
      if (values[w] !== 12345) throw new Error(`task ${task} writes behind its scratch`);
  }
}

/** Shares a job out to so many threads; what they gather for each other comes to lie where nothing else does. */
function shareOutTo(threads: number, {state}: World, job: ConvJob): void {
  job.shareOut(threads);
  const {sharedBytes} = job.shared;
  if (sharedBytes > 0) job.set('gathered', state.heap.allocate(sharedBytes, 'gathered rows').offset);
}

function expectSameBits(world: World, offset: number, count: number, name: string, again: () => void) {
  const bits = new Uint32Array(world.values.buffer, offset, count);
  const serial = bits.slice();
  if (serial.every((bit) => bit === 0)) throw new Error(`${name}: nothing was computed`);
  world.values.fill(Number.NaN, offset / 4, offset / 4 + count);
  again();
  for (let i = 0; i < count; ++i) {
    if (bits[i] !== serial[i]) {
      throw new Error(
        `${name}: value ${i} is ${world.values[offset / 4 + i]}, bits ${bits[i]}, not ${serial[i]}`,
      );
    }
  }
}

const PROBLEMS = [
  ['1×1, few windows', convCase([1, 30, 31, 20], [1, 1, 20, 40])],
  ['1×1, one row', convCase([1, 1, 2000, 20], [1, 1, 20, 64])],
  ['1×1, many channels', convCase([1, 14, 14, 96], [1, 1, 96, 200])],
  ['1×1, images that go on', convCase([3, 7, 7, 64], [1, 1, 64, 72])],
  ['3×3, small and deep', convCase([1, 7, 7, 64], [3, 3, 64, 100], {pad: 'same'})],
  ['3×3 of three channels', convCase([1, 30, 40, 3], [3, 3, 3, 70], {pad: 'same'})],
  ['3×3/2', convCase([2, 20, 21, 17], [3, 3, 17, 33], {strides: [2, 2], pad: 'same'})],
  ['5×5', convCase([1, 14, 14, 24], [5, 5, 24, 64], {pad: 'same'})],
  ['dilated', convCase([2, 16, 17, 20], [3, 3, 20, 40], {dilations: [2, 3], pad: 'same'})],
  ['of two channels, split', convCase([1, 12, 12, 2], [3, 3, 2, 300], {dilations: [2, 2], pad: 'same'})],
] as const;

describe.each(['relaxed', 'strict'] as const)('%s', (flavour) => {
  let world: World;
  beforeEach(async () => {
    world = await open(flavour);
  });

  function checkConv(
    geometry: ConvGeometry,
    plan: ConvPlan,
    name: string,
    activation: 'relu' | 'prelu' | 'silu',
  ) {
    const {state, place, offsetOf} = world;
    const {dataFormat, batchSize, inHeight, inWidth, inChannels, outChannels} = geometry;
    const depthwise = geometry.channelMultiplier;
    const planar = dataFormat === 'NCHW';
    const x = place(
      planar ? [batchSize, inChannels, inHeight, inWidth] : [batchSize, inHeight, inWidth, inChannels],
      1,
    );
    const last = depthwise ?? outChannels;
    const filter = place([geometry.filterHeight, geometry.filterWidth, inChannels, last], 2);
    const operandShape = planar ? [outChannels, 1, 1] : [outChannels];
    const strides = operandStrides('bias', operandShape, geometry);
    const spec = {
      geometry,
      plan,
      activation,
      bias: strides,
      ...(activation === 'prelu' ? {slope: strides} : {}),
      ...(activation === 'silu' ? {residual: residualStrides(geometry.outShape, geometry)} : {}),
    };
    const [job] = state.jobs.get(spec, 1, (_, at) => new ConvJob(state.heap, at, spec));
    const bias = place(operandShape, 3);
    const slope = place(operandShape, 4);
    const residual = place(geometry.outShape, 5);
    const output = offsetOf(runConv2d(state, job, {x, filter, bias, slope, residual, alpha: 0}));
    const count = size(geometry.outShape);
    for (const instances of [2, 3, 8]) {
      shareOutTo(instances, world, job);
      expectSameBits(world, output, count, `${name} on ${instances}`, () => {
        for (const [stage, [from, to]] of job.shared.stages.entries()) {
          runShuffled(
            world,
            instances,
            job.scratchBytes,
            shuffled(from, to, 7 + stage),
            (kernels, task, scratch) => kernels.im2win_conv(job.offset, task, task + 1, scratch),
          );
        }
      });
    }
    return job;
  }

  test.each(PROBLEMS)('%s', (_, problem) => {
    let shared = 0;
    let most = 0;
    for (const dataFormat of ['NHWC', 'NCHW'] as const) {
      const {xShape, filterShape, pad} = problem;
      const [batch, height, width, channels] = xShape;
      const shape = dataFormat === 'NHWC' ? xShape : [batch, channels, height, width];
      const geometry = convGeometry(shape, filterShape, {
        strides: [...problem.strides],
        dilations: [...problem.dilations],
        pad,
        dataFormat,
      });
      for (const plan of everyPlan(geometry, flavour)) {
        const {shared: sharedOut} = checkConv(
          geometry,
          plan,
          `${problem.name} ${planName(plan)} ${dataFormat}`,
          plan.algorithm === 'im2win' ? 'prelu' : 'relu',
        );
        checkConv(geometry, plan, `${problem.name} ${planName(plan)} ${dataFormat} with a residual`, 'silu');
        most = Math.max(most, sharedOut.count);
        shared += sharedOut.sharedBytes;
      }
    }
    expect(most).toBeGreaterThan(1);
    // In some plan of these, gathering is a stage of its own.
    if (/deep|split/.test(problem.name)) expect(shared).toBeGreaterThan(0);
  });

  test.each([
    convCase([2, 30, 31, 24], [3, 3, 24, 1], {pad: 'same'}),
    convCase([1, 40, 41, 21], [5, 5, 21, 2], {strides: [2, 1], pad: 'same'}),
  ])('depthwise $name', ({xShape, filterShape, strides, pad}) => {
    for (const dataFormat of ['NHWC', 'NCHW'] as const) {
      const [batch, height, width, channels] = xShape;
      const shape = dataFormat === 'NHWC' ? xShape : [batch, channels, height, width];
      const attributes = {strides: [...strides] as [number, number], pad, dataFormat};
      const geometry = convGeometry(shape, filterShape, attributes, {depthwise: true});
      const plan = planOurs(geometry, context(flavour));
      const {shared} = checkConv(geometry, plan, dataFormat, 'relu');
      checkConv(geometry, plan, `${dataFormat} with a residual`, 'silu');
      expect(shared.count).toBeGreaterThan(1);
    }
  });

  test.each([
    convCase([2, 20, 22, 6], [3, 4, 6, 9], {strides: [2, 3], pad: 'same'}),
    convCase([1, 60, 60, 3], [16, 16, 3, 4], {strides: [8, 8], pad: 'same'}),
  ])('transposed $name, packed and computed', ({xShape, filterShape, strides, pad}) => {
    const {state, place, offsetOf} = world;
    const geometry = convGeometry(xShape, filterShape, {strides: [...strides], pad});
    const plan = planGradient(geometry, 'input', context(flavour));
    if (plan.algorithm !== 'transposed') throw new Error('another plan');
    const jobs = state.jobs.get(plan, plan.phases.length, (i, at) =>
      phaseJob(state.heap, at, plan, plan.phases[i]),
    );
    const dy = place(geometry.outShape, 1);
    const filter = place(filterShape, 2);
    const output = offsetOf(runTransposed(state, geometry, plan, jobs, {dy, filter}));
    expectSameBits(world, output, size(xShape), 'transposed', () => {
      world.values.fill(0, output / 4, output / 4 + size(xShape));
      for (const [p, job] of jobs.entries()) {
        const {count} = plan.phases[p].row;
        shareOutTo(3, world, job);
        const bytes = job.scratchBytes + 4 * size(filterShape);
        runShuffled(world, 3, bytes, shuffled(0, count, 3), (kernels, task, scratch) =>
          kernels.im2win_pack(job.offset, task, task + 1, scratch),
        );
        for (const [from, to] of job.shared.stages) {
          runShuffled(world, 3, job.scratchBytes, shuffled(from, to, 5), (kernels, task, scratch) =>
            kernels.im2win_conv(job.offset, task, task + 1, scratch),
          );
        }
      }
    });
  });

  test.each([
    convCase([2, 33, 150, 3], [3, 50, 3, 1], {strides: [3, 50], pad: 'same'}),
    convCase([1, 19, 21, 6], [17, 9, 6, 13], {strides: [16, 11], pad: 'same'}),
  ])('transposed $name, from where it lies', ({xShape, filterShape, strides, pad}) => {
    const {state, place, offsetOf} = world;
    const geometry = convGeometry(xShape, filterShape, {strides: [...strides], pad});
    const plan = planGradient(geometry, 'input', context(flavour));
    expect(plan).toMatchObject({algorithm: 'transposed', direct: true});
    const [job] = state.jobs.get(plan, 1, (_, at) => plainJob(state.heap, at, geometry));
    const dy = place(geometry.outShape, 1);
    const filter = place(filterShape, 2);
    const rows = xShape[0] * xShape[1];
    const output = offsetOf(
      runInputRows(state, geometry, {entry: 'im2win_transposed', rows}, job, {dy, filter}),
    );
    expectSameBits(world, output, size(xShape), 'transposed', () => {
      world.values.fill(Number.NaN, output / 4, output / 4 + size(xShape));
      runShuffled(world, 3, 0, shuffled(0, rows, 3), (kernels, task) =>
        kernels.im2win_transposed(job.offset, task, task + 1, 0),
      );
    });
  });

  test.each(['NHWC', 'NCHW'] as const)('the gradient with respect to the filter, %s', (dataFormat) => {
    const {state, place, offsetOf} = world;
    for (const multiplier of [undefined, 2]) {
      const shape = dataFormat === 'NHWC' ? [2, 20, 21, 30] : [2, 30, 20, 21];
      const filterShape = [3, 3, 30, multiplier ?? 13];
      const geometry = convGeometry(
        shape,
        filterShape,
        {strides: [2, 1], pad: 'same', dataFormat},
        {depthwise: multiplier !== undefined},
      );
      const plan = planGradient(geometry, 'filter', context(flavour));
      if (plan.algorithm !== 'gradient') throw new Error('another plan');
      const [job] = state.jobs.get(plan, 1, (_, at) => gradientJob(state.heap, at, geometry, plan));
      const tensors = {x: place(shape, 1), dy: place(geometry.outShape, 2)};
      const output = offsetOf(runFilterGradient(state, geometry, plan, job as Job, tensors));
      const scratchBytes = Math.ceil((plan.block.inputBytes + plan.block.outputBytes) / 64) * 64 + 64;
      const entry = multiplier === undefined ? 'im2win_gradient_filter' : 'im2win_depthwise_gradient_filter';
      const count = multiplier === undefined ? 3 * Math.ceil(30 / 24) : 3;
      expectSameBits(world, output, size(filterShape), dataFormat, () =>
        runShuffled(world, 3, scratchBytes, shuffled(0, count, 3), (kernels, task, scratch) =>
          kernels[entry](job.offset, task, task + 1, scratch),
        ),
      );
    }
  });
});

test('a layer has as many tasks as eight threads could use, where there is work for them', () => {
  const tasksOf = (x: number[], filter: number[], depthwise = false) => {
    const geometry = convGeometry(x, filter, {strides: 1, pad: 'same'}, {depthwise});
    return convTasks(geometry, planOurs(geometry, context('relaxed')), {imagesGoOn: true, repeats: 1});
  };
  for (const [x, filter, depthwise] of [
    [
      [1, 112, 112, 16],
      [1, 1, 16, 96],
    ],
    [
      [1, 56, 56, 64],
      [1, 1, 64, 64],
    ],
    [
      [1, 7, 7, 960],
      [1, 1, 960, 320],
    ],
    [
      [1, 1, 12544, 64],
      [1, 1, 64, 64],
    ],
    [
      [1, 7, 7, 512],
      [3, 3, 512, 512],
    ],
    [
      [1, 14, 14, 256],
      [3, 3, 256, 256],
    ],
    [
      [1, 224, 224, 3],
      [3, 3, 3, 64],
    ],
    [
      [1, 14, 14, 96],
      [1, 1, 96, 576],
    ],
    [[1, 112, 112, 96], [3, 3, 96, 1], true],
  ] as const) {
    const tasks = tasksOf([...x], [...filter], depthwise);
    for (const threads of [2, 3, 4, 8]) {
      const {stages, wholeBlocks} = shareOut(tasks, threads);
      const [first, last] = stages[stages.length - 1];
      // Whole blocks fill the threads' time, or what is left is shared by all.
      const filled = wholeBlocks / (threads * Math.ceil(wholeBlocks / threads));
      expect([x, threads, last - first >= threads, wholeBlocks === 0 || filled > 0.65]).toEqual([
        x,
        threads,
        true,
        true,
      ]);
    }
  }
  // Nothing to share out.
  expect(shareOut(tasksOf([1, 4, 4, 8], [3, 3, 8, 8]), 8).count).toBe(1);
});
