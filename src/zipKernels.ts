// The kernels that take tensors of one shape: what is valid.
import {AddN, Select} from '@tensorflow/tfjs-core';
import {type AroundKernel, INVALID, inputOf, isSmall} from './aroundKernel.ts';
import {sizeOf} from './box.ts';
import {bytesOf, type TensorSpec} from './tensorSpec.ts';

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

const select: AroundKernel = {
  name: Select,
  op: 'tf.where',
  inputs: ['condition', 't', 'e'],
  leaves({inputs}) {
    const t = inputOf(inputs, 't');
    // tfjs's kernel writes four bytes for each boolean, beyond its output.
    return t?.dtype !== 'bool' && isSmall(t?.shape, FEW);
  },
  plan(operands) {
    const [condition, t, e] = operands as readonly TensorSpec[];
    if (condition.dtype !== 'bool' || t.dtype !== e.dtype) return INVALID;
    // tf.where makes them so. Where one is smaller tfjs repeats what lies there, in an order of its own.
    if (!isLike(t)(e) || condition.shape.join() !== t.shape.join()) return 'the shapes differ';
    const op = bytesOf(t.dtype) === 1 ? 'selectBytes' : 'select';
    return {
      algorithm: 'select',
      outputs: [t],
      work: {record: 'zip', zip: {op, count: sizeOf(t.shape), sources: 3}},
    };
  },
};

export const ZIP_KERNELS: readonly AroundKernel[] = [addN, select];
