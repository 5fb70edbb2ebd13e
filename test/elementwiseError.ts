// What values that are computed one by one may differ by from tfjs's, which are of double precision, rounded once.
import {type AroundCase, operandsOf, type Tolerance, valuesOf} from './aroundCases.ts';
import {UNIT_ROUNDOFF} from './reference.ts';

const LEAST = 2 ** -149;

/** Nothing but where there is more than one rounding. */
export function toleranceOf(one: AroundCase): Tolerance {
  // Of the difference, twice, and of the square; and tfjs's of the square.
  if (one.kernelName === 'SquaredDifference') return (value) => 4 * UNIT_ROUNDOFF * Math.abs(value) + LEAST;
  return one.kernelName === 'FusedBatchNorm' ? batchNormTolerance(one) : () => 0;
}

/**
 * The scaled value is rounded as a difference, as the root's argument (twice: that of epsilon is one, and half of both
 * remain), as a root, as a quotient and as a product; the sum by both.
 */
function batchNormTolerance(one: AroundCase): Tolerance {
  const names = Object.keys(one.inputs);
  const operands = operandsOf(one).map((own, i) => valuesOf(own, i));
  const parameterAt = (name: string, missing: number, i: number) => {
    const values = operands[names.indexOf(name)];
    return values === undefined ? missing : values[i % values.length];
  };
  const epsilon = (one.attrs as {varianceEpsilon?: number}).varianceEpsilon ?? 0.001;
  return (value, _, i) => {
    const factor = parameterAt('scale', 1, i) / Math.sqrt(parameterAt('variance', 0, i) + epsilon);
    const difference = Math.abs(parameterAt('x', 0, i) - parameterAt('mean', 0, i));
    // A factor may be too small for a normal float.
    const least = LEAST * (1 + difference);
    return UNIT_ROUNDOFF * (5.01 * difference * Math.abs(factor) + 2 * Math.abs(value)) + least;
  };
}
