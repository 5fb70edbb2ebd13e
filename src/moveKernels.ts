// The kernels that move data: what each of their calls is known by, what is valid, and what moves.
import {
  Cast,
  Concat,
  Fill,
  Identity,
  OnesLike,
  Pack,
  PadV2,
  Slice,
  SplitV,
  StridedSlice,
  slice_util,
  type TensorInfo,
  Tile,
  Transpose,
  Unpack,
  ZerosLike,
} from '@tensorflow/tfjs-core';
import {
  type AroundCall,
  type AroundKernel,
  axisOf,
  EMPTY,
  INVALID,
  inputOf,
  isCount,
  isList,
  isPairs,
  isSmall,
  refuse,
  signPairs,
} from './aroundKernel.ts';
import {sizeOf, stridesOf} from './box.ts';
import {copyAll, copyBox, type Move, padded, type Stream, transposed} from './move.ts';
import {bytesOf, type TensorSpec} from './tensorSpec.ts';

/** The attributes of all these kernels: of each a few, unchecked. */
export interface MoveAttributes {
  readonly axis?: number;
  readonly begin?: number | readonly number[];
  readonly size?: number | readonly number[] | null;
  readonly numOrSizeSplits?: number | readonly number[];
  readonly end?: readonly number[];
  readonly strides?: readonly number[];
  readonly beginMask?: number;
  readonly endMask?: number;
  readonly ellipsisMask?: number;
  readonly newAxisMask?: number;
  readonly shrinkAxisMask?: number;
  readonly shape?: readonly number[];
  readonly value?: unknown;
  readonly dtype?: string;
  readonly paddings?: readonly (readonly number[])[];
  readonly constantValue?: unknown;
  readonly reps?: readonly number[];
  readonly perm?: readonly number[];
}

type MoveCall = AroundCall<MoveAttributes>;
type MoveKernel = AroundKernel<MoveAttributes>;

/** What a call moves, and to what outputs. */
interface Moved {
  readonly move: Move;
  readonly outputs: readonly TensorSpec[];
}

/** What a kernel says of itself here. */
interface Mover extends Omit<MoveKernel, 'inputs' | 'plan' | 'leaves'> {
  /** `['x']` if missing. */
  readonly inputs?: MoveKernel['inputs'];
  /** @returns What moves, or why the call is tfjs's. */
  moved(inputs: readonly TensorSpec[], attrs: MoveAttributes): Moved | string;
  /**
   * Asked of a kernel that tfjs computes by one call of a typed array, which is as fast as wasm unless the heap is
   * shared: whether even then it is done sooner than a route is found. `undefined` if a call is not computed so.
   */
  stockCopies?(call: MoveCall): boolean | undefined;
}

const ALGORITHMS = {
  streams: 'copy',
  box: 'copy',
  fill: 'fill',
  pad: 'pad',
  transpose: 'transpose',
  cast: 'cast',
} as const;

/* @__NO_SIDE_EFFECTS__ */
function kernelOf({moved, stockCopies, ...kernel}: Mover): MoveKernel {
  return {
    inputs: ['x'],
    ...kernel,
    plan(inputs, attrs) {
      const own = moved(inputs as readonly TensorSpec[], attrs);
      if (typeof own === 'string') return own;
      const {move, outputs} = own;
      return {algorithm: ALGORITHMS[move.kind], outputs, work: {record: 'move', move}};
    },
    leaves(call, isShared) {
      const few = stockCopies?.(call);
      return few !== undefined && (few || !isShared(call.backend));
    },
  };
}

const SAME_DATA = 'tfjs makes a tensor of the same data';

const shapeOf = ({inputs}: MoveCall) => inputOf(inputs, 'x')?.shape;

const alike = ({shape, dtype}: TensorSpec): Moved['outputs'] => [{shape, dtype}];
const bytesIn = ({shape, dtype}: TensorSpec): number => sizeOf(shape) * bytesOf(dtype);

// Values that tfjs copies or fills on a shared heap in the time that it takes to find a route; and that it converts.
const FEW = 4096;
const FEW_CAST = 512;

/** A kernel whose output is the input's like, all of one value. */
function like(name: string, op: string, value: number): MoveKernel {
  return kernelOf({
    name,
    op,
    moved: ([x]) => ({move: {kind: 'fill', bytes: bytesIn(x)}, outputs: alike(x)}),
    stockCopies: (call) => isSmall(shapeOf(call), FEW),
    value: () => value,
  });
}

const identity = /* @__PURE__ */ kernelOf({
  name: Identity,
  op: 'tf.clone',
  stockCopies: (call) => isSmall(shapeOf(call), FEW),
  moved: ([x]) => ({move: copyAll(bytesIn(x)), outputs: alike(x)}),
});

const cast = /* @__PURE__ */ kernelOf({
  name: Cast,
  op: 'tf.cast',
  stockCopies({inputs, attrs}) {
    const x = inputOf(inputs, 'x');
    // tfjs's booleans are the lowest bytes.
    if (attrs?.dtype === 'bool' && x?.dtype !== 'bool') return undefined;
    if (isSmall(x?.shape, FEW_CAST)) return true;
    return x?.dtype === 'float32' && attrs?.dtype === 'int32' ? undefined : false;
  },
  sign: (signature, {attrs}) => signature.add(attrs?.dtype),
  moved([x], {dtype}) {
    if (dtype !== 'float32' && dtype !== 'int32' && dtype !== 'bool') return INVALID;
    const move: Move =
      dtype === x.dtype
        ? copyAll(bytesIn(x))
        : {kind: 'cast', from: x.dtype, to: dtype, count: sizeOf(x.shape)};
    return {move, outputs: [{shape: x.shape, dtype}]};
  },
});

const fill = /* @__PURE__ */ kernelOf({
  name: Fill,
  op: 'tf.fill',
  inputs: [],
  stockCopies: ({attrs}) => isSmall(attrs?.shape, FEW),
  sign(signature, {attrs}) {
    signature.list(attrs?.shape);
    signature.add(attrs?.dtype);
    signature.add(typeof attrs?.value);
  },
  moved(_, {shape, value, dtype = typeof value === 'boolean' ? 'bool' : 'float32'}) {
    if (typeof value !== 'number' && typeof value !== 'boolean') return INVALID;
    if (dtype !== 'float32' && dtype !== 'int32' && dtype !== 'bool') return INVALID;
    if (!Array.isArray(shape) || !shape.every(isCount)) return INVALID;
    const source = {shape, dtype} as const;
    return {move: {kind: 'fill', bytes: bytesIn(source)}, outputs: alike(source)};
  },
  value: ({attrs}) => attrs?.value,
});

/** Tensors one after the other along an axis that has a row of each. */
function joined(runs: readonly number[], rows: number): Move {
  const total = runs.reduce((a, b) => a + b, 0);
  let toOffset = 0;
  const streams: Stream[] = [];
  runs.forEach((run, input) => {
    if (run > 0) {
      streams.push({input, output: 0, fromOffset: 0, toOffset, run, fromStep: run, toStep: total});
    }
    toOffset += run;
  });
  return {kind: 'streams', rows, streams};
}

const concat = /* @__PURE__ */ kernelOf({
  name: Concat,
  op: 'tf.concat',
  inputs: 'list',
  sign: (signature, {attrs}) => signature.add(attrs?.axis),
  moved(sources, {axis: asked}) {
    const [{shape, dtype}] = sources;
    const axis = axisOf(asked, shape.length);
    if (axis === undefined) return INVALID;
    const fits = (other: TensorSpec) =>
      other.dtype === dtype &&
      other.shape.length === shape.length &&
      other.shape.every((size, i) => i === axis || size === shape[i]);
    if (!sources.every(fits)) return INVALID;
    const outShape = shape.map((size, i) =>
      i === axis ? sources.reduce((sum, other) => sum + other.shape[axis], 0) : size,
    );
    const runs = sources.map((one) => sizeOf(one.shape.slice(axis)) * bytesOf(dtype));
    return {move: joined(runs, sizeOf(shape.slice(0, axis))), outputs: [{shape: outShape, dtype}]};
  },
});

const pack = /* @__PURE__ */ kernelOf({
  name: Pack,
  op: 'tf.stack',
  inputs: 'list',
  sign: (signature, {attrs}) => signature.add(attrs?.axis),
  moved(sources, {axis: asked}) {
    if (sources.length === 1) return SAME_DATA;
    const [{shape, dtype}] = sources;
    const axis = axisOf(asked, shape.length + 1);
    if (axis === undefined) return INVALID;
    const fits = (other: TensorSpec) => other.dtype === dtype && other.shape.join() === shape.join();
    if (!sources.every(fits)) return INVALID;
    const run = sizeOf(shape.slice(axis)) * bytesOf(dtype);
    return {
      move: joined(
        sources.map(() => run),
        sizeOf(shape.slice(0, axis)),
      ),
      outputs: [{shape: [...shape.slice(0, axis), sources.length, ...shape.slice(axis)], dtype}],
    };
  },
});

/** The parts of a tensor along an axis, an output each. */
function parted({shape, dtype}: TensorSpec, axis: number, sizes: readonly number[]): Move {
  const step = sizeOf(shape.slice(axis + 1)) * bytesOf(dtype);
  let fromOffset = 0;
  const streams: Stream[] = [];
  sizes.forEach((size, output) => {
    const run = size * step;
    if (run > 0) {
      streams.push({
        input: 0,
        output,
        fromOffset,
        toOffset: 0,
        run,
        fromStep: shape[axis] * step,
        toStep: run,
      });
    }
    fromOffset += run;
  });
  return {kind: 'streams', rows: sizeOf(shape.slice(0, axis)), streams};
}

const splitV = /* @__PURE__ */ kernelOf({
  name: SplitV,
  op: 'tf.split',
  lists: true,
  sign(signature, {attrs}) {
    signature.list(attrs?.numOrSizeSplits);
    signature.add(attrs?.axis);
  },
  moved([x], {axis: asked, numOrSizeSplits}) {
    const {shape, dtype} = x;
    const axis = axisOf(asked, shape.length);
    if (axis === undefined) return INVALID;
    const sizes = splitSizes(numOrSizeSplits, shape[axis]);
    if (sizes === undefined) return INVALID;
    const outputs = sizes.map((size) => ({shape: shape.map((all, i) => (i === axis ? size : all)), dtype}));
    return {move: parted(x, axis, sizes), outputs};
  },
});

function splitSizes(splits: MoveAttributes['numOrSizeSplits'], size: number): number[] | undefined {
  if (typeof splits === 'number') {
    return isCount(splits) && size % splits === 0 ? new Array<number>(splits).fill(size / splits) : undefined;
  }
  if (!Array.isArray(splits) || !splits.every((one) => one === -1 || isCount(one))) return undefined;
  const given = splits.reduce((sum, one) => sum + Math.max(0, one), 0);
  const open = splits.filter((one) => one === -1).length;
  // tfjs takes a first one for a size, and has none of none.
  if (!(splits[0] >= 0)) return undefined;
  if (open > 1 || given > size || (open === 0 && given < size)) return undefined;
  return splits.map((one) => (one === -1 ? size - given : one));
}

const unpack = /* @__PURE__ */ kernelOf({
  name: Unpack,
  op: 'tf.unstack',
  inputs: ['value'],
  lists: true,
  sign: (signature, {attrs}) => signature.add(attrs?.axis),
  moved([value], {axis: asked}) {
    const {shape, dtype} = value;
    const axis = axisOf(asked, shape.length);
    if (axis === undefined) return INVALID;
    const sizes = new Array<number>(shape[axis]).fill(1);
    const output = {shape: shape.filter((_, i) => i !== axis), dtype};
    return {move: parted(value, axis, sizes), outputs: sizes.map(() => output)};
  },
});

/** The first index of an axis. */
function sliceBegin(begin: MoveAttributes['begin'], axis: number): number {
  if (typeof begin === 'number') return axis === 0 ? begin : 0;
  return begin?.[axis] ?? 0;
}

/** How many of an axis's `all` indices a slice has; NaN if that is none it can have. */
function sliceSize(attrs: MoveAttributes | undefined, axis: number, all: number): number {
  const size = attrs?.size;
  const begin = sliceBegin(attrs?.begin, axis);
  const given = size == null || typeof size === 'number' ? (axis === 0 ? size : -1) : size[axis];
  const own = given == null || given === -1 ? all - begin : given;
  return isCount(begin) && isCount(own) && begin + own <= all ? own : Number.NaN;
}

/** @throws Error that tfjs's cpu backend has; the wasm backend reads what lies behind its input. */
function checkSlice(shape: readonly number[], {begin, size}: MoveAttributes): void {
  const x = {shape} as TensorInfo;
  const [from, sizes] = slice_util.parseSliceParams(x, begin as number[], size as number[]);
  slice_util.assertParamsValid(x, from, sizes);
}

const slice = /* @__PURE__ */ kernelOf({
  name: Slice,
  op: 'tf.slice',
  // Where it begins is no part of it: of the many slices of a loop all but the first find their route.
  sign(signature, call) {
    const {attrs} = call;
    const shape = shapeOf(call) ?? [];
    const {begin, size} = attrs ?? {};
    signature.add(isList(begin) ? begin.length <= shape.length : typeof begin === 'number');
    signature.add(isList(size) ? size.length <= shape.length : size == null || typeof size === 'number');
    for (let axis = 0; axis < shape.length; ++axis) {
      const own = sliceSize(attrs, axis, shape[axis]);
      // What is no slice: some are refused, and others tfjs's.
      signature.add(own >= 0 ? own : `${begin}/${size}`);
    }
  },
  moved([{shape, dtype}], attrs) {
    const {begin, size} = attrs;
    const known =
      (typeof begin === 'number' || (isList(begin) && begin.length <= shape.length)) &&
      (size == null || typeof size === 'number' || (isList(size) && size.length <= shape.length));
    const sizes = shape.map((all, axis) => sliceSize(attrs, axis, all));
    // tfjs reads one beyond a scalar.
    if (!known || sizes.some(Number.isNaN) || shape.length === 0) {
      checkSlice(shape, attrs);
      return INVALID;
    }
    if (sizes.includes(0)) return EMPTY;
    const from = stridesOf(shape, bytesOf(dtype));
    const to = stridesOf(sizes, bytesOf(dtype));
    const move = copyBox(
      sizes.map((own, i) => ({size: own, from: from[i], to: to[i]})),
      bytesOf(dtype),
    );
    return typeof move === 'string' ? move : {move, outputs: [{shape: sizes, dtype}]};
  },
  offset({inputs, attrs}) {
    const {shape = [], dtype} = inputOf(inputs, 'x') ?? {};
    let offset = 0;
    let stride = dtype === 'bool' ? 1 : 4;
    for (let axis = shape.length - 1; axis >= 0; --axis) {
      offset += stride * sliceBegin(attrs?.begin, axis);
      stride *= shape[axis];
    }
    return offset;
  },
});

const MASKS = ['beginMask', 'endMask', 'ellipsisMask', 'newAxisMask', 'shrinkAxisMask'] as const;

const stridedSlice = /* @__PURE__ */ kernelOf({
  name: StridedSlice,
  op: 'tf.stridedSlice',
  sign(signature, {attrs}) {
    signature.list(attrs?.begin);
    signature.list(attrs?.end);
    signature.list(attrs?.strides);
    for (const mask of MASKS) signature.add(attrs?.[mask]);
  },
  moved([{shape, dtype}], {begin, end, strides, ...masks}) {
    if (!isList(begin) || !isList(end) || (strides != null && !isList(strides))) return INVALID;
    const [beginMask, endMask, ellipsisMask, newAxisMask, shrinkAxisMask] = MASKS.map(
      (mask) => masks[mask] ?? 0,
    );
    const info = slice_util.sliceInfo(
      [...shape],
      [...begin],
      [...end],
      strides == null ? (strides as unknown as number[]) : [...strides],
      beginMask,
      endMask,
      ellipsisMask,
      newAxisMask,
      shrinkAxisMask,
    );
    if (info.isIdentity) return SAME_DATA;
    if (info.finalShape.includes(0)) return EMPTY;
    const whole = info.sliceDim0 || info.isSimpleSlice;
    // tfjs forgets the axes that are dropped where it steps over values.
    if (!whole && info.finalShapeSparse.length !== shape.length) return INVALID;
    const sizes = whole
      ? slice_util.computeOutShape(info.begin, info.end, info.strides)
      : info.finalShapeSparse;
    const last = sizes.map((size, i) => info.begin[i] + (size - 1) * info.strides[i]);
    const isIndex = (index: number, i: number) => isCount(index) && index < shape[i];
    if (!sizes.every((size) => size > 0) || !info.begin.every(isIndex) || !last.every(isIndex)) {
      return INVALID;
    }
    const from = stridesOf(shape, bytesOf(dtype));
    const to = stridesOf(sizes, bytesOf(dtype));
    const move = copyBox(
      sizes.map((size, i) => ({size, from: from[i] * info.strides[i], to: to[i]})),
      bytesOf(dtype),
      info.begin.reduce((sum, index, i) => sum + index * from[i], 0),
    );
    return typeof move === 'string' ? move : {move, outputs: [{shape: info.finalShape, dtype}]};
  },
});

const padV2 = /* @__PURE__ */ kernelOf({
  name: PadV2,
  op: 'tf.pad',
  sign(signature, {attrs}) {
    signPairs(signature, attrs?.paddings);
    signature.add(typeof attrs?.constantValue);
  },
  moved([{shape, dtype}], {paddings, constantValue}) {
    if (!isPairs(paddings, shape.length)) return refuse('paddings', paddings, shape);
    if (typeof constantValue !== 'number' && typeof constantValue !== 'boolean') return INVALID;
    const outputs = [{shape: shape.map((size, i) => paddings[i][0] + size + paddings[i][1]), dtype}];
    if (shape.includes(0)) return {move: {kind: 'fill', bytes: bytesIn(outputs[0])}, outputs};
    const move = padded(
      shape.map((inside, i) => ({before: paddings[i][0], inside, after: paddings[i][1]})),
      bytesOf(dtype),
    );
    return typeof move === 'string' ? move : {move, outputs};
  },
  // tfjs's cpu backend fills with what is not 0: -0 pads with 0.
  value: ({attrs}) => (attrs?.constantValue === 0 ? 0 : attrs?.constantValue),
});

const tile = /* @__PURE__ */ kernelOf({
  name: Tile,
  op: 'tf.tile',
  sign: (signature, {attrs}) => signature.list(attrs?.reps),
  moved([{shape, dtype}], {reps}) {
    if (!isList(reps) || reps.length !== shape.length || !reps.every(isCount)) {
      return refuse('reps', reps, shape);
    }
    if (reps.includes(0)) return EMPTY;
    const outShape = shape.map((size, i) => size * reps[i]);
    const from = stridesOf(shape, bytesOf(dtype));
    const to = stridesOf(outShape, bytesOf(dtype));
    const move = copyBox(
      shape.flatMap((size, i) => [
        {size: reps[i], from: 0, to: size * to[i]},
        {size, from: from[i], to: to[i]},
      ]),
      bytesOf(dtype),
    );
    return typeof move === 'string' ? move : {move, outputs: [{shape: outShape, dtype}]};
  },
});

const transpose = /* @__PURE__ */ kernelOf({
  name: Transpose,
  op: 'tf.transpose',
  stockCopies: (call) =>
    keepsOrder(shapeOf(call), call.attrs?.perm) ? isSmall(shapeOf(call), FEW) : undefined,
  sign: (signature, {attrs}) => signature.list(attrs?.perm),
  moved([{shape, dtype}], {perm}) {
    if (!isList(perm) || [...perm].sort((a, b) => a - b).join() !== [...shape.keys()].join()) {
      return refuse('perm', perm, shape);
    }
    const move = transposed(shape, perm, bytesOf(dtype));
    return typeof move === 'string'
      ? move
      : {move, outputs: [{shape: perm.map((axis) => shape[axis]), dtype}]};
  },
});

/** Whether only axes of one index come to lie elsewhere: tfjs copies then. */
function keepsOrder(shape: readonly number[] = [], perm: readonly number[] = []): boolean {
  if (perm.length !== shape.length) return false;
  let last = -1;
  for (const axis of perm) {
    if (shape[axis] === 1) continue;
    if (!(axis > last && axis in shape)) return false;
    last = axis;
  }
  return true;
}

export const MOVE_KERNELS: readonly AroundKernel[] = [
  identity,
  concat,
  slice,
  splitV,
  pack,
  unpack,
  stridedSlice,
  fill,
  /* @__PURE__ */ like(ZerosLike, 'tf.zerosLike', 0),
  /* @__PURE__ */ like(OnesLike, 'tf.onesLike', 1),
  cast,
  padV2,
  tile,
  transpose,
];
