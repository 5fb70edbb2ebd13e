import type {TensorInfo} from '@tensorflow/tfjs-core';
import {CONV_KERNELS, type ConvKernel, OWN_KERNELS} from '../convKernels.ts';
import {type ConvCall, type ConvInputs, convolutions, type OwnConvRoute} from '../convolution.ts';
import type {Family} from '../family.ts';
import {checkWasmLimits} from '../limits.ts';
import {stockDefect} from '../stock.ts';
import {runConv2d} from './conv2d.ts';
import {
  gradientJob,
  phaseJob,
  plainJob,
  runFilterGradient,
  runInputRows,
  runTransposed,
} from './gradients.ts';
import {ConvJob} from './job.ts';
import type {StateOf, WasmState} from './state.ts';

export function wasmConvolutions(stateOf: StateOf): Family {
  return convolutions({
    kernels: [...OWN_KERNELS, ...CONV_KERNELS],
    stock: {readAny: false, planar: false, unpacked: false, defect: stockDefect},
    checkLimits: checkWasmLimits,
    compute: (kernel, call, route) => compute(stateOf(call.backend, kernel), kernel, call, route),
  });
}

function compute(
  state: WasmState,
  kernel: ConvKernel,
  {inputs, attrs}: ConvCall,
  route: OwnConvRoute,
): TensorInfo {
  const {geometry, plan} = route;
  // The route has checked which of them are there.
  const {x, filter, dy, bias, preluActivationWeights, residual} = inputs as Required<ConvInputs>;
  switch (plan.algorithm) {
    case 'transposed': {
      const {heap, jobs} = state;
      if (plan.direct) {
        const [job] = jobs.get(route, 1, (_, at) => plainJob(heap, at, plan.geometry));
        const rows = plan.geometry.batchSize * plan.geometry.inHeight;
        return runInputRows(state, geometry, {entry: 'im2win_transposed', rows}, job, {dy, filter});
      }
      const own = jobs.get(route, plan.phases.length, (i, at) => phaseJob(heap, at, plan, plan.phases[i]));
      return runTransposed(state, geometry, plan, own, {dy, filter});
    }
    case 'gradient': {
      const {heap, jobs} = state;
      const [job] = jobs.get(route, 1, (_, at) => gradientJob(heap, at, geometry, plan));
      if (kernel.computes !== 'inputGradient') return runFilterGradient(state, geometry, plan, job, {x, dy});
      const rows = geometry.batchSize * geometry.inHeight;
      return runInputRows(state, geometry, {entry: 'im2win_depthwise_gradient_input', rows}, job, {
        dy,
        filter,
      });
    }
    default: {
      // An empty output has no windows.
      if (geometry.outShape.includes(0)) return state.backend.makeOutput([...geometry.outShape], 'float32');
      const [job] =
        state.jobs.find<ConvJob>(route) ??
        state.jobs.get(route, 1, (_, at) => new ConvJob(state.heap, at, {...route, plan}));
      const alpha = attrs.leakyreluAlpha ?? 0.2;
      return runConv2d(state, job, {x, filter, bias, slope: preluActivationWeights, residual, alpha});
    }
  }
}
