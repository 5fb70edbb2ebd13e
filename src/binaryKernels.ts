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
import {type AroundCall, type AroundKernel, INVALID, inputOf, isSmall, refuseDtype} from './aroundKernel.ts';
import {BINARY_SCRATCH_BYTES, type BinaryOp, broadcast, broadcastShape} from './binary.ts';
import {sizeOf} from './box.ts';
import {InvalidArgument} from './describe.ts';
import {checkBytes} from './limits.ts';
import {memoryTasks} from './memoryTasks.ts';
import {bytesOf, type Dtype, type TensorSpec} from './tensorSpec.ts';

/* @__NO_SIDE_EFFECTS__ */
function binary(
  name: string,
  tfOp: string,
  op: BinaryOp,
  dtype: Dtype = 'float32',
  inputs: readonly string[] = ['a', 'b'],
): AroundKernel {
  return {
    name,
    op: tfOp,
    inputs,
    plan(operands) {
      const [a, b] = operands as readonly TensorSpec[];
      const shape = broadcastShape(a.shape, b.shape);
      if (shape === undefined) return INVALID;
      checkBytes({'an output': shape}, bytesOf(dtype === 'bool' ? dtype : a.dtype));
      const other = [a, b].find((one) => one.dtype !== 'float32');
      if (other !== undefined) return `a tensor has dtype ${other.dtype}`;
      const outputs = [{shape, dtype}];
      if (shape.includes(0)) {
        return {algorithm: 'fill', outputs, work: {record: 'move', move: {kind: 'fill', bytes: 0}}};
      }
      const own = broadcast(op, a.shape, b.shape, shape);
      if (typeof own === 'string') return own;
      return {
        algorithm: 'binary',
        outputs,
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

const isFloat = (tensor: {readonly dtype: string} | undefined) => tensor?.dtype === 'float32';

/* @__NO_SIDE_EFFECTS__ */
function preluKernel(): AroundKernel {
  const ofFloats = binary(Prelu, 'tf.prelu', 'prelu', 'float32', ['x', 'alpha']);
  return {
    ...ofFloats,
    /** tfjs is as fast as memory where alpha's values lie as those of x's last axes do, and wrong elsewhere. */
    leaves: (call, isShared) =>
      isOfLastAxes(call) && (isSmall(inputOf(call.inputs, 'x')?.shape, MANY) || !isShared(call.backend)),
    /** @throws InvalidArgument where tfjs would read whole numbers as floats, or write beyond its output. */
    plan(operands, attrs) {
      const [x, alpha] = operands as readonly TensorSpec[];
      if (!isFloat(alpha)) refuseDtype('alpha', alpha.dtype);
      if (!isFloat(x) && broadcastShape(x.shape, alpha.shape)?.join() !== x.shape.join()) {
        throw new InvalidArgument(
          `alpha has shape [${alpha.shape}]; allowed: what is broadcast to that of x, [${x.shape}], if x is not float32.`,
        );
      }
      return ofFloats.plan(operands, attrs);
    },
  };
}

function isOfLastAxes({inputs}: AroundCall): boolean {
  const alpha = inputOf(inputs, 'alpha');
  if (!isFloat(alpha)) return false;
  const shape = inputOf(inputs, 'x')?.shape;
  const slopes = alpha?.shape;
  if (!Array.isArray(shape) || !Array.isArray(slopes) || slopes.length > shape.length) return false;
  // There tfjs's kernel divides by their number.
  if (shape.includes(0)) return false;
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
  /* @__PURE__ */ preluKernel(),
  /* @__PURE__ */ binary(Equal, 'tf.equal', 'equal', 'bool'),
  /* @__PURE__ */ binary(NotEqual, 'tf.notEqual', 'notEqual', 'bool'),
  /* @__PURE__ */ binary(Less, 'tf.less', 'less', 'bool'),
  /* @__PURE__ */ binary(LessEqual, 'tf.lessEqual', 'lessEqual', 'bool'),
  /* @__PURE__ */ binary(Greater, 'tf.greater', 'greater', 'bool'),
  /* @__PURE__ */ binary(GreaterEqual, 'tf.greaterEqual', 'greaterEqual', 'bool'),
];
