import {InvalidArgument} from './describe.ts';

/** The activations that tfjs fuses into a convolution. */
export type Activation = 'linear' | 'relu' | 'relu6' | 'prelu' | 'leakyrelu' | 'sigmoid' | 'elu';

export const ACTIVATIONS: readonly Activation[] = [
  'linear',
  'relu',
  'relu6',
  'prelu',
  'leakyrelu',
  'sigmoid',
  'elu',
];

/**
 * @param name The `activation` attribute; `linear` if missing.
 * @throws InvalidArgument if it is none of {@link ACTIVATIONS}, or `prelu` without slopes.
 */
export function checkActivation(name: string | undefined, hasSlope: boolean): Activation {
  const activation = name ?? 'linear';
  if (!ACTIVATIONS.includes(activation as Activation)) {
    throw new InvalidArgument(`activation is '${activation}'; allowed: ${ACTIVATIONS.join(', ')}.`);
  }
  if (activation === 'prelu' && !hasSlope) {
    throw new InvalidArgument("preluActivationWeights is missing; activation 'prelu' needs a tensor.");
  }
  return activation as Activation;
}
