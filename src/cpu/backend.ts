import type {DataId, TensorInfo} from '@tensorflow/tfjs-core';
import type {Backend, OpenBackend} from '../backend.ts';
import {CONV_KERNELS, OWN_KERNELS} from '../convKernels.ts';
import {type ConvCall, type ConvInputs, convolutions, type OwnConvRoute} from '../convolution.ts';
import type {CallContext, Family} from '../family.ts';
import type {OperandStrides} from '../operand.ts';
import type {PlanWishes} from '../plan.ts';
import {runDepthwise} from './depthwise.ts';
import type {CpuOperand} from './epilogue.ts';
import {FilterCache} from './filterCache.ts';
import {runFilterGradient} from './filterGradient.ts';
import {runIm2win} from './im2win.ts';
import {packFilter} from './pack.ts';
import {runTransposed} from './transposed.ts';
import {packWinograd, runWinograd, winogradValues} from './winograd.ts';

/** The parts of tfjs's `MathBackendCPU` that the kernel uses. */
interface TfjsCpuBackend {
  readonly data: {get(dataId: DataId): {readonly values: ArrayLike<number>}};
  makeTensorInfo(shape: number[], dtype: 'float32', values: Float32Array): TensorInfo;
}

// The gradients of a depthwise convolution are tfjs's own.
const KERNELS = CONV_KERNELS.filter(({depthwise, computes}) => !depthwise || computes === 'output');

export const CPU: Backend = {
  name: 'cpu',
  package: '@tensorflow/tfjs-backend-cpu',
  kernels: KERNELS,
  open: async () => new OpenCpu(),
};

/** im2win on tfjs's cpu backend, in plain JavaScript. */
class OpenCpu implements OpenBackend {
  readonly families: readonly Family[] = [
    convolutions({
      kernels: [...OWN_KERNELS, ...KERNELS],
      stock: {readAny: true, planar: true, unpacked: true},
      compute: (_kernel, call, route) => this.compute(call, route),
    }),
  ];
  private readonly filters = new FilterCache();
  private workspace = new Float64Array(0);

  context(_instance: object, wishes: PlanWishes): CallContext {
    return {...wishes, target: 'cpu'};
  }

  memory() {
    return {workspaceBytes: 0, filterBytes: 0, ownBytes: 0};
  }

  /** It keeps nothing by routes. */
  forget(): void {}

  release(): void {
    this.workspace = new Float64Array(0);
  }

  private compute({backend, inputs, attrs}: ConvCall, route: OwnConvRoute): TensorInfo {
    const instance = backend as TfjsCpuBackend;
    const {geometry, plan} = route;
    const values = (tensor: TensorInfo) => instance.data.get(tensor.dataId).values;
    const {x, filter, dy, bias, preluActivationWeights, residual} = inputs as Required<ConvInputs>;
    if (plan.algorithm === 'transposed') {
      const {inChannels, inHeight, inWidth, batchSize} = geometry;
      const gradient = runTransposed(plan, values(dy), values(filter));
      const sides = [inHeight, inWidth];
      const shape = geometry.dataFormat === 'NHWC' ? [...sides, inChannels] : [inChannels, ...sides];
      return instance.makeTensorInfo([batchSize, ...shape], 'float32', gradient);
    }
    if (plan.algorithm === 'gradient') {
      const {filterHeight, filterWidth, inChannels, outChannels} = geometry;
      const gradient = runFilterGradient(geometry, values(x), values(dy));
      return instance.makeTensorInfo(
        [filterHeight, filterWidth, inChannels, outChannels],
        'float32',
        gradient,
      );
    }
    const operand = (tensor: TensorInfo | undefined, strides?: OperandStrides): CpuOperand | undefined =>
      tensor == null || strides === undefined ? undefined : {values: values(tensor), strides};
    const epilogue = {
      bias: operand(bias, route.bias),
      slope: operand(preluActivationWeights, route.slope),
      residual: operand(residual, route.residual),
      residualAfterActivation: route.residualAfterActivation,
      activation: route.activation,
      constants: route.constants,
      leakyreluAlpha: attrs.leakyreluAlpha ?? 0.2,
    };
    const run = () => {
      if (plan.algorithm === 'depthwise') {
        return runDepthwise(geometry, values(filter), {...epilogue, x: values(x)});
      }
      const needed = plan.algorithm === 'winograd' ? winogradValues(plan) : plan.stripBytes / 8;
      if (this.workspace.length < needed) this.workspace = new Float64Array(needed);
      const panels = this.filters.get(filter.dataId, values(filter), {
        packing: plan.packing,
        keptBytes: plan.keptBytes,
        pack: () =>
          plan.algorithm === 'winograd'
            ? packWinograd(values(filter), geometry, plan)
            : packFilter(values(filter), geometry, plan.target.tile.nr),
      });
      const conv = {...epilogue, x: values(x), panels, workspace: this.workspace};
      return plan.algorithm === 'winograd'
        ? runWinograd(geometry, plan, conv)
        : runIm2win(geometry, plan, conv);
    };
    // Nothing is gathered for an output without pixels.
    const output = geometry.outShape.includes(0) ? new Float32Array(0) : run();
    return instance.makeTensorInfo([...geometry.outShape], 'float32', output);
  }
}
