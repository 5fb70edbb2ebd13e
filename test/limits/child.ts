// One case by stock or by im2win, in a process of its own: the argument is a Task as JSON, and the outcome goes to
// the parent.
import type {NamedTensorMap} from '@tensorflow/tfjs-core';
import {peakBytes} from '../../bench/peakMemory.ts';
import {im2winConv2d, registerIm2win} from '../../src/index.ts';
import {
  convCase,
  currentWasm,
  expectConvolution,
  floats,
  freshBackend,
  LINEAR,
  operandsOf,
  runConv,
  tf,
} from '../tf.ts';
import {
  inputShapes,
  isFused,
  type LimitCall,
  type LimitCase,
  outChannelsOf,
  resultShape,
  sizeOf,
} from './limitCase.ts';
import {type Operands, sampleCall} from './sampled.ts';

export interface Task {
  readonly limitCase: LimitCase;
  readonly contender: 'stock' | 'im2win';
}

/** What became of a call in its process. */
export interface Outcome {
  /** An error is clear where it is im2win's, or tfjs-core's own check of arguments, and names a value. */
  readonly kind: 'right' | 'wrong' | 'corrupts' | 'clear error' | 'unclear error';
  readonly message: string;
  /** Of the clock, or of the processor where that is less. */
  readonly milliseconds: number;
  /** Of the process at its peak, and of the wasm heap, in bytes. */
  readonly peakGrowth: number;
  readonly heapGrowth: number;
  readonly heapBefore: number;
}

const {limitCase, contender}: Task = JSON.parse(process.argv[2]);
const {call, backend, simd} = limitCase;

await freshBackend(backend);
if (contender === 'im2win') await registerIm2win({simd});
process.send?.(measure(), () => process.exit());

function measure(): Outcome {
  const before = canaries(11);
  const holes = canaries(12);
  const {operands, tensors} = makeInputs(call);
  const after = canaries(13);
  // The call takes what it needs from the holes.
  for (const {tensor} of holes) tensor.dispose();
  const others = [...before, ...after, ...inputCanaries(operands, tensors)];

  const heapBefore = heapBytes();
  const peakBefore = peakBytes();
  const start = performance.now();
  const cpuBefore = process.cpuUsage();
  let output: tf.Tensor | undefined;
  let error: unknown;
  try {
    output = run(call, tensors);
  } catch (thrown) {
    error = thrown;
  }
  const {user, system} = process.cpuUsage(cpuBefore);
  // Time that other processes take does not count.
  const milliseconds = Math.min(performance.now() - start, (user + system) / 1000);
  const peakGrowth = peakBytes() - peakBefore;
  const heapGrowth = heapBytes() - heapBefore;
  const found = (kind: Outcome['kind'], message: string): Outcome => ({
    kind,
    message,
    milliseconds,
    peakGrowth,
    heapGrowth,
    heapBefore,
  });

  const broken = firstBroken(others) ?? ordinaryIsWrong() ?? firstBroken(others);
  if (output === undefined) {
    const message = describeError(error);
    if (broken !== undefined) return found('corrupts', `${broken}, after: ${message}`);
    return found(isClear(error) ? 'clear error' : 'unclear error', message);
  }
  const wrong = firstWrong(output, operands);
  if (broken !== undefined) return found('corrupts', wrong === undefined ? broken : `${broken}; ${wrong}`);
  return found(wrong === undefined ? 'right' : 'wrong', wrong ?? '');
}

function run(one: LimitCall, inputs: NamedTensorMap): tf.Tensor {
  const {op, dataFormat} = one;
  const strides = [...one.strides] as [number, number];
  const dilations = [...one.dilations] as [number, number];
  const pad = one.pad as 'same'; // Not every op has all kinds in its type.
  const x = inputs.x as tf.Tensor4D;
  const filter = inputs.filter as tf.Tensor4D;
  const dy = inputs.dy as tf.Tensor4D;
  const kernel = (attributes: object) =>
    tf.engine().runKernel(op, inputs, {
      strides,
      pad,
      dimRoundingMode: 'floor',
      ...attributes,
    } as unknown as tf.NamedAttrMap) as tf.Tensor;
  switch (op) {
    case 'conv2d':
      return tf.conv2d(x, filter, strides, pad, dataFormat, dilations);
    case 'fused.conv2d':
      return tf.fused.conv2d({
        x,
        filter,
        strides,
        pad,
        dataFormat,
        dilations,
        bias: inputs.bias,
        activation: 'relu',
      });
    case 'im2winConv2d':
      return contender === 'stock'
        ? tf.conv2d(x, filter, strides, pad, dataFormat, dilations)
        : im2winConv2d(x, filter, {strides, pad, dataFormat, dilations});
    case 'depthwiseConv2d':
      return tf.depthwiseConv2d(x, filter, strides, pad, dataFormat, dilations);
    case 'fused.depthwiseConv2d':
      return tf.fused.depthwiseConv2d({
        x,
        filter,
        strides,
        pad,
        dataFormat,
        dilations,
        bias: inputs.bias,
        activation: 'relu',
      });
    case 'conv2dTranspose':
      return tf.conv2dTranspose(
        dy,
        filter,
        [...one.xShape] as [number, number, number, number],
        strides,
        pad,
      );
    case 'Conv2DBackpropInput':
      return kernel({dataFormat, inputShape: [...one.xShape]});
    case 'Conv2DBackpropFilter':
      return kernel({dataFormat, filterShape: [...one.filterShape]});
    case 'DepthwiseConv2dNativeBackpropInput':
      return kernel({dilations, inputShape: [...one.xShape]});
    case 'DepthwiseConv2dNativeBackpropFilter':
      return kernel({dilations, filterShape: [...one.filterShape]});
  }
}

function makeInputs(one: LimitCall): {operands: Operands; tensors: NamedTensorMap} {
  const operands: Record<string, Float32Array> = {};
  const tensors: NamedTensorMap = {};
  const shapes = {...inputShapes(one), bias: isFused(one.op) ? [outChannelsOf(one)] : undefined};
  for (const [salt, [name, shape]] of Object.entries(shapes).entries()) {
    if (shape === undefined) continue;
    operands[name] = floats(sizeOf(shape), salt + 1);
    tensors[name] = tf.tensor(operands[name], [...shape]);
  }
  return {operands, tensors};
}

interface Canary {
  readonly name: string;
  readonly tensor: tf.Tensor;
  readonly values: Float32Array;
}

function canaries(seed: number): Canary[] {
  return [3, 1000, 65_536, 5000, 300_000, 17].map((count, i) => {
    const values = floats(count, seed + 100 * i);
    return {name: `a tensor of ${count} values`, tensor: tf.tensor1d(values.slice()), values};
  });
}

/** The inputs, too, must be whole. */
function inputCanaries(operands: Operands, tensors: NamedTensorMap): Canary[] {
  return Object.entries(operands).flatMap(([name, values]) =>
    values instanceof Float32Array && values.length < 2 ** 24 && backend === 'wasm'
      ? [{name: `input ${name}`, tensor: tensors[name], values}]
      : [],
  );
}

function firstBroken(others: readonly Canary[]): string | undefined {
  for (const {name, tensor, values} of others) {
    const now = valuesOf(tensor);
    for (let i = 0; i < values.length; ++i) {
      if (now[i] !== values[i]) return `value ${i} of ${name} became ${now[i]}, was ${values[i]}`;
    }
  }
  return undefined;
}

function ordinaryIsWrong(): string | undefined {
  const problem = convCase([1, 6, 7, 3], [3, 3, 3, 5], {pad: 'same'});
  try {
    const operands = operandsOf(problem, LINEAR, 5);
    expectConvolution(runConv('Conv2D', problem, LINEAR, operands), problem, LINEAR, operands, 'winograd');
    return undefined;
  } catch (error) {
    return `the next ordinary convolution: ${describeError(error)}`;
  }
}

function firstWrong(output: tf.Tensor, operands: Operands): string | undefined {
  const shape = resultShape(call);
  if (output.shape.join() !== shape.join()) return `shape [${output.shape}], not [${shape}]`;
  if (shape.some((size) => !Number.isInteger(size) || size < 0)) return `a result of shape [${shape}]`;
  if (output.size === 0) return undefined;
  const values = valuesOf(output);
  if (values.length !== output.size) return `${values.length} values of ${output.size}`;
  for (const {index, value, magnitude} of sampleCall(call, operands)) {
    // By Winograd an error is relative to the largest values around.
    const allowed = 1e-4 * (1 + magnitude);
    if (!(Math.abs(values[index] - value) <= allowed))
      return `value ${index} is ${values[index]}, not ${value}`;
  }
  return undefined;
}

/** Where they lie: a copy of an output may not fit. */
function valuesOf(tensor: tf.Tensor): ArrayLike<number> {
  if (backend === 'cpu') return tensor.dataSync();
  const {dataIdMap, wasm} = currentWasm();
  const offset = dataIdMap.get(tensor.dataId).memoryOffset ?? 0;
  // Nothing was allocated.
  if (offset === 0 || wasm === null) return [];
  const {buffer} = wasm.HEAPU8;
  return new Float32Array(
    buffer,
    offset,
    Math.min(tensor.size, Math.floor((buffer.byteLength - offset) / 4)),
  );
}

function heapBytes(): number {
  return backend === 'wasm' ? (currentWasm().wasm?.HEAPU8.length ?? 0) : 0;
}

function describeError(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}`.split('\n')[0] : `${error}`;
}

function isClear(error: unknown): boolean {
  if (!(error instanceof Error) || error.name !== 'Error' || !/\d/.test(error.message)) return false;
  return error.message.startsWith('im2win') || /^\s*at \S*assert\S* .*tfjs-core/m.test(error.stack ?? '');
}
