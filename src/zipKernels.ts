// The kernels that take tensors of one shape: what is valid.
import {AddN, Select} from '@tensorflow/tfjs-core';
import {type AroundKernel, INVALID, inputOf, isSmall, refuseDtype} from './aroundKernel.ts';
import {sizeOf} from './box.ts';
import {InvalidArgument} from './describe.ts';
import {bytesOf, type TensorSpec} from './tensorSpec.ts';

type Shaped = Pick<TensorSpec, 'shape'>;

const isLike =
  ({shape, dtype}: TensorSpec) =>
  (other: TensorSpec) =>
    other.dtype === dtype && other.shape.join() === shape.join();

const addN: AroundKernel = {
  name: AddN,
  op: 'tf.addN',
  inputs: 'list',
  plan(operands) {
    const tensors = operands as readonly TensorSpec[];
    const [first] = tensors;
    if (!tensors.every(isLike(first))) return INVALID;
    if (first.dtype !== 'float32') return `a tensor has dtype ${first.dtype}`;
    return {
      algorithm: 'sum',
      outputs: [first],
      work: {record: 'zip', zip: {op: 'sum', count: sizeOf(first.shape), sources: tensors.length}},
    };
  },
};

/** Values that tfjs selects in the time that it takes to find a route. */
const FEW = 192;

const NAMES = ['condition', 't', 'e'];

/** Whether t and e are as large as what tfjs's kernel writes: a value, or a row of t, for each of the condition's. */
function fitsTfjs(condition: Shaped | undefined, t: Shaped | undefined, e: Shaped | undefined): boolean {
  if (condition === undefined || t === undefined || e === undefined) return false;
  const size = sizeOf(t.shape);
  const rows = condition.shape.length === 1 && t.shape.length > 1 ? t.shape[0] : size;
  return sizeOf(condition.shape) <= rows && size <= sizeOf(e.shape);
}

const select: AroundKernel = {
  name: Select,
  op: 'tf.where',
  inputs: NAMES,
  leaves({inputs}) {
    const [condition, t, e] = NAMES.map((name) => inputOf(inputs, name));
    // tfjs's kernel writes four bytes for each boolean, beyond its output.
    return t?.dtype !== 'bool' && e?.dtype !== 'bool' && isSmall(t?.shape, FEW) && fitsTfjs(condition, t, e);
  },
  /** @throws InvalidArgument where tfjs would write beyond its output. */
  plan(operands) {
    const [condition, t, e] = operands as readonly TensorSpec[];
    if (bytesOf(t.dtype) !== bytesOf(e.dtype)) refuseDtype('e', e.dtype, t.dtype);
    if (condition.dtype !== 'bool' || t.dtype !== e.dtype) return INVALID;
    // tf.where makes them so. Where one is smaller tfjs repeats what lies there, in an order of its own.
    if (!isLike(t)(e) || condition.shape.join() !== t.shape.join()) {
      if (t.dtype !== 'bool' && fitsTfjs(condition, t, e)) return 'the shapes differ';
      const shapes = [condition, t, e].map(({shape}) => `[${shape}]`).join(', ');
      throw new InvalidArgument(`condition, t and e have shapes ${shapes}; allowed: one shape for all.`);
    }
    const op = bytesOf(t.dtype) === 1 ? 'selectBytes' : 'select';
    return {
      algorithm: 'select',
      outputs: [t],
      work: {record: 'zip', zip: {op, count: sizeOf(t.shape), sources: 3}},
    };
  },
};

export const ZIP_KERNELS: readonly AroundKernel[] = [addN, select];
