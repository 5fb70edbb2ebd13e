import type {DataId, TensorInfo} from '@tensorflow/tfjs-core';
import type {Algorithm, PlanContext} from '../plan.ts';
import type {BackendConvolution, RoutedCall} from '../routed.ts';
import type {Route} from '../routes.ts';
import {type CpuOperand, convolveCpu} from './conv2d.ts';
import {packFilter} from './pack.ts';

/** The parts of tfjs's `MathBackendCPU` that the kernel uses. */
interface TfjsCpuBackend {
  readonly data: {get(dataId: DataId): {readonly values: ArrayLike<number>}};
  makeTensorInfo(shape: number[], dtype: 'float32', values: Float32Array): TensorInfo;
}

/** im2win on tfjs's cpu backend, in plain JavaScript. */
export class CpuConvolution implements BackendConvolution {
  private readonly packed = new WeakMap<DataId, Map<string, Float64Array>>();
  private strip = new Float64Array(0);

  context(_backend: unknown, algorithm: Algorithm): PlanContext {
    return {backend: 'cpu', algorithm};
  }

  compute({backend, inputs, attributes, route}: RoutedCall): TensorInfo {
    const instance = backend as unknown as TfjsCpuBackend;
    const {geometry, plan, activation} = route;
    if (plan.algorithm !== 'im2win') throw new Error(`im2win: no ${plan.algorithm} on the cpu backend.`);
    const {x, filter, bias, preluActivationWeights} = inputs;
    const values = (tensor: TensorInfo) => instance.data.get(tensor.dataId).values;
    const operand = (tensor: TensorInfo | undefined, strides: Route['bias']): CpuOperand | undefined =>
      tensor == null || strides === undefined ? undefined : {values: values(tensor), strides};
    if (this.strip.length < plan.strip.windowRowStride)
      this.strip = new Float64Array(plan.strip.windowRowStride);
    const output = convolveCpu(geometry, plan, {
      x: values(x),
      panels: this.panels(filter, route, plan.packing, values),
      strip: this.strip,
      bias: operand(bias, route.bias),
      slope: operand(preluActivationWeights, route.slope),
      activation,
      leakyreluAlpha: attributes.leakyreluAlpha ?? 0.2,
    });
    return instance.makeTensorInfo([...geometry.outShape], 'float32', output);
  }

  release(): void {
    this.strip = new Float64Array(0);
  }

  private panels(
    filter: TensorInfo,
    {geometry}: Route,
    packing: string,
    values: (tensor: TensorInfo) => ArrayLike<number>,
  ): Float64Array {
    const packings = this.packed.get(filter.dataId) ?? new Map<string, Float64Array>();
    const panels = packings.get(packing) ?? packFilter(values(filter), geometry);
    this.packed.set(filter.dataId, packings.set(packing, panels));
    return panels;
  }
}
