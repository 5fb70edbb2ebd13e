// A second family, on tfjs's cpu backend. It is routed, left to stock, added, reported and restored, though no other file knows of it.
import {getKernel, type TensorInfo} from '@tensorflow/tfjs-core';
import type {Backend, OpenBackend} from '../src/backend.ts';
import type {Call, Family, Kernel} from '../src/family.ts';
import type {Algorithm} from '../src/plan.ts';
import {whyNothing} from '../src/policy.ts';
import {isImported, ServedBackend} from '../src/served.ts';
import {tf} from './tf.ts';

type Unary = Call<{x: TensorInfo}, {by?: number} | undefined>;

const RELU: Kernel = {name: 'Relu', op: 'tf.relu'};
const ADDED: Kernel = {name: 'Im2winShift', op: 'a shift', added: true};
const ABSENT: Kernel = {name: 'Im2winAbsent', op: 'nothing of tfjs'};

const CPU: Backend = {
  name: 'cpu',
  package: '@tensorflow/tfjs-backend-cpu',
  kernels: [RELU],
  open: async () => new OpenToy(),
};

/** Relus that can be told from stock's: they give a tenth too much. */
class OpenToy implements OpenBackend {
  readonly families: readonly Family[] = [this.unary()];
  released = 0;

  context(_instance: object, wishes: {algorithm: Algorithm}) {
    return {winograd: true, ...wishes, target: 'cpu'} as const;
  }

  memory() {
    return {workspaceBytes: 0, filterBytes: 0, ownBytes: 0};
  }

  forget(): void {}

  release(): void {
    ++this.released;
  }

  private unary(): Family {
    const family: Family<Kernel, Unary> = {
      kernels: [RELU, ADDED, ABSENT],
      sign(signature, {inputs, attrs}) {
        signature.tensor(inputs.x);
        signature.add(attrs?.by);
      },
      plan(_kernel, {inputs}, context) {
        const reason = inputs.x.dtype === 'float32' ? whyNothing(context) : `x has dtype ${inputs.x.dtype}`;
        return reason === undefined ? {plan: {algorithm: 'toy'}} : {reason};
      },
      record: ({inputs}) => ({shape: [...inputs.x.shape]}),
      compute(kernel, {inputs: {x}, attrs, backend}) {
        const cpu = backend as unknown as {
          data: {get(id: object): {values: Float32Array}};
          makeTensorInfo(shape: number[], dtype: string, values: Float32Array): TensorInfo;
        };
        const {values} = cpu.data.get(x.dataId);
        const own =
          kernel === RELU ? values.map((v) => 1.1 * Math.max(0, v)) : values.map((v) => v + (attrs?.by ?? 0));
        return cpu.makeTensorInfo(x.shape, 'float32', own);
      },
    };
    return family;
  }
}

test('a second family is served like the first', async () => {
  await tf.setBackend('cpu');
  const stock = getKernel('Relu', 'cpu');
  let algorithm: Algorithm = 'auto';
  const open = new OpenToy();
  expect(isImported(CPU)).toBe(true);
  const served = new ServedBackend(CPU, open, () => ({algorithm, winograd: true}));
  const relu = (...values: number[]) => [...tf.tidy(() => tf.relu(tf.tensor1d(values)).dataSync())];
  const shift = () => [
    ...tf
      .tidy(() => tf.engine().runKernel('Im2winShift', {x: tf.tensor1d([1, 2])}, {by: 3}) as tf.Tensor)
      .dataSync(),
  ];
  try {
    expect(getKernel('Im2winAbsent', 'cpu')).toBeUndefined();
    for (let pass = 0; pass < 2; ++pass) {
      expect(relu(-10, 10)).toEqual([0, 11]);
      expect([...tf.tidy(() => tf.relu(tf.tensor1d([-10, 10], 'int32')).dataSync())]).toEqual([0, 10]);
      expect(shift()).toEqual([4, 5]);
    }
    algorithm = 'stock';
    expect(relu(-10, 10)).toEqual([0, 10]);
    // A kernel that tfjs lacks is ours, whatever was asked for.
    expect(shift()).toEqual([4, 5]);
    expect(served.report()).toEqual([
      {kernelName: 'Relu', backend: 'cpu', shape: [2], algorithm: 'toy', calls: 2},
      {
        kernelName: 'Relu',
        backend: 'cpu',
        shape: [2],
        algorithm: 'stock',
        reason: 'x has dtype int32',
        calls: 2,
      },
      {kernelName: 'Im2winShift', backend: 'cpu', shape: [2], algorithm: 'toy', calls: 3},
      {
        kernelName: 'Relu',
        backend: 'cpu',
        shape: [2],
        algorithm: 'stock',
        reason: "algorithm 'stock' was asked for",
        calls: 1,
      },
    ]);
  } finally {
    served.unregister();
  }
  expect(getKernel('Relu', 'cpu')).toBe(stock);
  expect(getKernel('Im2winShift', 'cpu')).toBeUndefined();
  expect(open.released).toBe(1);
  expect(relu(-10, 10)).toEqual([0, 10]);
});
