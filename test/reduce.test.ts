// Sums, means, largest and smallest values: those of tfjs's cpu backend.
import {type AroundCase, expectNear, expectOutcome, operand, operandsOf} from './aroundCases.ts';
import {sweepCases} from './sweepCases.ts';
import {size} from './tf.ts';

const SHAPES = [
  [1],
  [2],
  [15],
  [37],
  [1031],
  [5, 9],
  [40, 3],
  [3, 40],
  [33, 17],
  [7, 2100],
  [70, 100],
  [3, 4, 5],
  [2, 7, 7, 20],
  [1, 14, 14, 33],
  [2, 5, 1, 6, 3],
  [2, 3, 2, 3, 2, 3],
];

/** All sets of axes; of many a part, counted from the end. */
const axesOf = (shape: readonly number[]): (number[] | number | null)[] => {
  const sets = Array.from({length: 2 ** shape.length}, (_, bits) =>
    [...shape.keys()].filter((axis) => (bits >> axis) & 1),
  );
  return [
    null,
    0,
    -1,
    ...sets.map((axes, i) => (i % 3 === 1 ? axes.map((axis) => axis - shape.length) : axes)),
  ];
};

const casesOf = (kernelName: string, options: Pick<AroundCase, 'plain'>) =>
  SHAPES.flatMap((shape) =>
    axesOf(shape).map((axis, i): AroundCase => {
      const own = kernelName === 'Max' ? {reductionIndices: axis} : {axis};
      return {
        kernelName,
        inputs: {x: operand(shape)},
        attrs: {...own, keepDims: i % 2 === 1},
        ...options,
      };
    }),
  );

const reasons = ['tfjs adds up short rows as fast', 'more than 3 groups of axes are kept, or 2 reduced'];

describe('bit for bit', () => {
  sweepCases({
    cases: {
      Max: casesOf('Max', {}),
      Min: casesOf('Min', {}),
    },
    reasons,
    compare: expectOutcome,
  });
});

describe('rounded', () => {
  sweepCases({
    cases: {Sum: casesOf('Sum', {plain: true}), Mean: casesOf('Mean', {plain: true})},
    reasons,
    compare(one, got, expected) {
      const [{shape}] = operandsOf(one);
      const terms = size(shape) / Math.max(1, size(expected[0].shape));
      // Of values up to 1. Four are added by two roundings of 2^-24, those sums in double precision, and the end is
      // rounded on both sides. Of a mean the cpu backend rounds each part instead.
      const all = one.kernelName === 'Mean' ? 1 : terms;
      expectNear(one, got, expected, (value) => 2 ** -23 * Math.abs(value) + 3 * 2 ** -24 * all);
    },
  });
});
