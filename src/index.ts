/**
 * Convolutions of TensorFlow.js models through im2win, on the backends they
 * already run on.
 *
 * @packageDocumentation
 */
export type {Activation} from './activation.ts';
export type {ConvAttributes} from './geometry.ts';
export {type Im2winConv2dOptions, im2winConv2d} from './op.ts';
export type {Algorithm, Flavour} from './plan.ts';
export {
  type Im2winBackend,
  type Im2winMemory,
  type Im2winOptions,
  type Im2winRegistration,
  registerIm2win,
} from './register.ts';
export type {ConvInputs, ConvolutionRecord, FusedConvAttributes} from './routes.ts';
export {IM2WIN_CONV_2D} from './tfjsKernels.ts';
