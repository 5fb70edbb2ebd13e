// Random depthwise convolutions, and gradients of either kind.
import {
  type Flavour,
  IM2WIN_DEPTHWISE_CONV_2D,
  type Im2winRegistration,
  registerIm2win,
} from '../../src/index.ts';
import {checkGradients} from '../gradientCheck.ts';
import {
  type ConvCase,
  convCase,
  depthwiseOperandsOf,
  expectConvolution,
  freshBackend,
  runConv,
  tf,
} from '../tf.ts';
import {type Conv2dCase, casesOf, kernelFor, problems} from './conv2d.ts';
import type {FuzzRow} from './row.ts';

/** The same geometry, a few filters for each channel. */
const depthwiseProblems = problems.map((problem): ConvCase => {
  const [height, width, inChannels, outChannels] = problem.filterShape;
  const multiplier = outChannels % 3 === 0 ? 1 + (outChannels % 5) : 1;
  return {
    ...problem,
    filterShape: [height, width, inChannels, inChannels * multiplier],
    terms: height * width,
  };
});

export function depthwiseRow(
  backend: 'wasm' | 'cpu',
  simd: Flavour | 'auto',
  dataFormat: 'NHWC' | 'NCHW',
): FuzzRow<Conv2dCase> {
  let registration: Im2winRegistration | undefined;
  return {
    name: `depthwise-${backend}-${simd}-${dataFormat.toLowerCase()}`,
    cases: casesOf(depthwiseProblems),
    async start() {
      await freshBackend(backend);
      registration = await registerIm2win({simd});
    },
    async run({problem, epilogue, seed, freshHeap}) {
      if (freshHeap) await freshBackend(backend);
      tf.tidy(() => {
        const {full, operands} = depthwiseOperandsOf(problem, epilogue, seed);
        const kernel = kernelFor(epilogue, 'FusedDepthwiseConv2D', IM2WIN_DEPTHWISE_CONV_2D);
        const output = runConv(kernel, problem, epilogue, operands, dataFormat);
        expectConvolution(output, problem, epilogue, full);
      });
    },
    async stop() {
      registration?.unregister();
    },
  };
}

export function gradientRow(
  backend: 'wasm' | 'cpu',
  simd: Flavour | 'auto',
  depthwise: boolean,
): FuzzRow<ConvCase> {
  let registration: Im2winRegistration | undefined;
  return {
    name: `gradients-${depthwise ? 'depthwise-' : ''}${backend === 'cpu' ? backend : simd}`,
    // tfjs's gradients take no dilation where the convolution is full, and no empty output.
    cases: problems
      .map((problem) => {
        const [height, width, inChannels, outChannels] = problem.filterShape;
        return convCase(
          problem.xShape,
          [height, width, inChannels, depthwise ? 1 + (outChannels % 3) : outChannels],
          {...problem, strides: [...problem.strides], dilations: [1, 1]},
        );
      })
      .filter(({outHeight, outWidth}) => outHeight > 0 && outWidth > 0),
    async start() {
      await freshBackend(backend);
      registration = await registerIm2win({simd, backends: [backend]});
    },
    async run(problem) {
      checkGradients(problem, depthwise, !depthwise);
    },
    async stop() {
      registration?.unregister();
    },
  };
}
