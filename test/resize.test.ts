// Images in another size: the values of tfjs's cpu backend.
import {RESIZE_KERNELS} from '../src/resizeKernels.ts';
import {type AroundCase, expectNear, expectOutcome, operand} from './aroundCases.ts';
import {sweepCases} from './sweepCases.ts';

const SIZES = [
  [6, 5, 6, 5],
  [5, 7, 10, 14],
  [4, 6, 13, 18],
  [5, 7, 20, 21],
  [10, 8, 5, 4],
  [9, 13, 4, 5],
  [7, 3, 1, 1],
  [1, 1, 4, 3],
  [2, 9, 33, 1],
  [3, 4, 5, 61],
];
const CHANNELS = [1, 2, 3, 4, 5, 8, 9, 16, 19, 20, 32, 33, 55];

const casesOf = (kernelName: string, options: Pick<AroundCase, 'plain'>): AroundCase[] => {
  const call = (shape: readonly number[], size: readonly number[], attrs: object): AroundCase => ({
    kernelName,
    inputs: {images: operand(shape)},
    attrs: {size, ...attrs},
    ...options,
  });
  const alignments = [
    {alignCorners: false, halfPixelCenters: false},
    {alignCorners: true, halfPixelCenters: false},
    {alignCorners: false, halfPixelCenters: true},
  ];
  return alignments.flatMap((attrs) => [
    ...SIZES.flatMap(([inHeight, inWidth, outHeight, outWidth]) =>
      CHANNELS.map((channels, i) =>
        call([1 + (i % 2), inHeight, inWidth, channels], [outHeight, outWidth], attrs),
      ),
    ),
    call([1, 6, 7, 67], [11, 12], attrs),
    call([1, 3, 4, 63], [3, 40], attrs),
  ]);
};

// tf.image takes one of the two alone.
const BOTH = {alignCorners: true, halfPixelCenters: true};

describe('bit for bit', () => {
  const both = ({attrs, ...one}: AroundCase): AroundCase => ({...one, attrs: {...attrs, ...BOTH}});
  const cases = casesOf('ResizeNearestNeighbor', {});
  sweepCases({
    cases: {ResizeNearestNeighbor: [...cases, ...cases.slice(0, 130).map(both)]},
    reasons: [],
    compare: expectOutcome,
  });
});

describe('rounded', () => {
  sweepCases({
    cases: {ResizeBilinear: casesOf('ResizeBilinear', {plain: true})},
    reasons: [],
    // Of values up to 1 a difference, its product with a rounded fraction and a sum: seven roundings of at most
    // 2^-24. They come twice, along the width and the height, and then the last one.
    compare: (one, got, expected) => expectNear(one, got, expected, () => 16 * 2 ** -24),
  });
});

test('images of many channels are left to tfjs where no two rows share one of the image', () => {
  const [bilinear] = RESIZE_KERNELS;
  const planOf = (channels: number, size: readonly number[], alignment: object) =>
    bilinear.plan([{shape: [1, 8, 8, channels], dtype: 'float32'}], {size, ...alignment} as object);
  const centres = {halfPixelCenters: true};
  const left = 'tfjs makes an image of many channels smaller as fast';
  expect(planOf(64, [4, 4], centres)).toBe(left);
  expect(planOf(64, [4, 16], centres)).toBe(left);
  const ours = expect.objectContaining({algorithm: 'resize'});
  expect(planOf(63, [4, 4], centres)).toEqual(ours);
  // Each row lies on one of the image.
  expect(planOf(64, [4, 4], {})).toEqual(ours);
  expect(planOf(64, [7, 7], centres)).toEqual(ours);
  expect(planOf(64, [16, 16], centres)).toEqual(ours);
});

test('what would be interpolated between places beyond the image is left to tfjs', () => {
  const [bilinear] = RESIZE_KERNELS;
  const image = {shape: [4, 10, 13, 21], dtype: 'float32'} as const;
  expect(bilinear.plan([image], {size: [2, 3], ...BOTH} as object)).toBe(
    'an argument is not as it should be',
  );
});
