// What every entry of the package exports.
export type {Activation, ActivationAttributes} from './activation.ts';
export type {AroundRecord} from './around.ts';
export type {Im2winBackend, Im2winMemory} from './backend.ts';
export {IM2WIN_CONV_2D, IM2WIN_DEPTHWISE_CONV_2D} from './convKernels.ts';
export type {ConvInputs, ConvolutionRecord, FusedConvAttributes} from './convolution.ts';
export type {ConvAttributes, ConvSteps} from './geometry.ts';
export type {MatMulRecord} from './matMul.ts';
export {type Im2winConv2dOptions, im2winConv2d} from './op.ts';
export type {Im2winOptions} from './options.ts';
export type {Algorithm, Flavour} from './plan.ts';
export type {Im2winRecord, Im2winRegistration} from './registration.ts';
export type {KernelRecord} from './routes.ts';
export type {ServedKernels} from './served.ts';
