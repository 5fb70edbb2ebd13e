// The kernels that compute two operands value by value: what is valid, and what is computed.
import {
  Add,
  Equal,
  Greater,
  GreaterEqual,
  Less,
  LessEqual,
  Maximum,
  Minimum,
  Multiply,
  NotEqual,
  Prelu,
  RealDiv,
  SquaredDifference,
  Sub,
} from '@tensorflow/tfjs-core';
import {type AroundCall, type AroundKernel, EMPTY, INVALID, inputOf, isSmall} from './aroundKernel.ts';
import {BINARY_SCRATCH_BYTES, type BinaryOp, broadcast, broadcastShape} from './binary.ts';
import {sizeOf} from './box.ts';
import {memoryTasks} from './memoryTasks.ts';
import type {Dtype, TensorSpec} from './tensorSpec.ts';

/* @__NO_SIDE_EFFECTS__ */
function binary(
  name: string,
  tfOp: string,
  op: BinaryOp,
  dtype: Dtype = 'float32',
  inputs: readonly string[] = ['a', 'b'],
  leaves?: AroundKernel['leaves'],
): AroundKernel {
  return {
    name,
    op: tfOp,
    inputs,
    leaves,
    plan(operands) {
      const [a, b] = operands as readonly TensorSpec[];
      const other = [a, b].find((one) => one.dtype !== 'float32');
      if (other !== undefined) return `a tensor has dtype ${other.dtype}`;
      const shape = broadcastShape(a.shape, b.shape);
      if (shape === undefined) return INVALID;
      if (shape.includes(0)) return EMPTY;
      const own = broadcast(op, a.shape, b.shape, shape);
      if (typeof own === 'string') return own;
      return {
        algorithm: 'binary',
        outputs: [{shape, dtype}],
        work: {record: 'binary', binary: own},
        // What is read is floats, also where the output is not.
        load: memoryTasks(4 * sizeOf(shape)),
        scratchBytes: BINARY_SCRATCH_BYTES,
      };
    },
  };
}

// From so many values on several threads are worth it.
const MANY = 2 ** 17;

/** tfjs is as fast as memory where alpha's values lie as those of x's last axes do, and wrong elsewhere. */
const leavesPrelu: AroundKernel['leaves'] = (call, isShared) =>
  isOfLastAxes(call) && (isSmall(inputOf(call.inputs, 'x')?.shape, MANY) || !isShared(call.backend));

function isOfLastAxes({inputs}: AroundCall): boolean {
  const shape = inputOf(inputs, 'x')?.shape;
  const slopes = inputOf(inputs, 'alpha')?.shape;
  if (!Array.isArray(shape) || !Array.isArray(slopes) || slopes.length > shape.length) return false;
  const before = shape.length - slopes.length;
  let axis = 0;
  while (slopes[axis] === 1) ++axis;
  for (; axis < slopes.length; ++axis) {
    if (slopes[axis] !== shape[before + axis]) return false;
  }
  return true;
}

export const BINARY_KERNELS: readonly AroundKernel[] = [
  /* @__PURE__ */ binary(Add, 'tf.add', 'add'),
  /* @__PURE__ */ binary(Sub, 'tf.sub', 'sub'),
  /* @__PURE__ */ binary(Multiply, 'tf.mul', 'mul'),
  /* @__PURE__ */ binary(RealDiv, 'tf.div', 'div'),
  /* @__PURE__ */ binary(Maximum, 'tf.maximum', 'max'),
  /* @__PURE__ */ binary(Minimum, 'tf.minimum', 'min'),
  /* @__PURE__ */ binary(SquaredDifference, 'tf.squaredDifference', 'squaredDifference'),
  /* @__PURE__ */ binary(Prelu, 'tf.prelu', 'prelu', 'float32', ['x', 'alpha'], leavesPrelu),
  /* @__PURE__ */ binary(Equal, 'tf.equal', 'equal', 'bool'),
  /* @__PURE__ */ binary(NotEqual, 'tf.notEqual', 'notEqual', 'bool'),
  /* @__PURE__ */ binary(Less, 'tf.less', 'less', 'bool'),
  /* @__PURE__ */ binary(LessEqual, 'tf.lessEqual', 'lessEqual', 'bool'),
  /* @__PURE__ */ binary(Greater, 'tf.greater', 'greater', 'bool'),
  /* @__PURE__ */ binary(GreaterEqual, 'tf.greaterEqual', 'greaterEqual', 'bool'),
];
