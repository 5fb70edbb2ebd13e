// Errors of each algorithm, relative to the largest output, on data of three kinds.
// `npm run accuracy` does the same on the convolutions of whole networks.

import {
  DISTRIBUTIONS,
  type Distribution,
  errorBound,
  everyPlan,
  planName,
  relativeErrors,
} from '../bench/accuracy.ts';
import {openState} from '../bench/wasmState.ts';
import {convGeometry} from '../src/geometry.ts';
import type {Flavour} from '../src/plan.ts';
import type {WasmState} from '../src/wasm/state.ts';
import {freshWasm} from './tf.ts';

/** [filterHeight, filterWidth, inChannels, stride]: every F(m, r), few and many terms. */
const FILTERS: readonly (readonly [number, number, number, number])[] = [
  ...[2, 3, 4, 5, 6, 7].flatMap((taps) => [
    [1, taps, 3, 1] as const,
    ...[2, 3, 5, 7].map((height) => [height, taps, 64, 1] as const),
  ]),
  [4, 4, 256, 1],
  [3, 3, 512, 1],
  [3, 3, 1024, 1],
  [7, 7, 64, 2],
  [11, 11, 3, 4],
];

const names = new Set<string>();

describe.each(['relaxed', 'strict'] as const)('%s', (flavour: Flavour) => {
  let state: WasmState;
  beforeAll(async () => {
    await freshWasm();
    state = await openState(flavour);
  });

  test.each(
    (Object.keys(DISTRIBUTIONS) as Distribution[]).flatMap((distribution) =>
      FILTERS.map((filter) => [distribution, ...filter] as const),
    ),
  )('%s data, %i×%i filter, %i channels, stride %i', (distribution, height, width, channels, stride) => {
    const geometry = convGeometry([1, height + 1, width + 27, channels], [height, width, channels, 12], {
      strides: stride,
      pad: 'same',
    });
    const plans = everyPlan(geometry, flavour);
    const errors = relativeErrors(state, geometry, plans, distribution, 1, 1500);
    plans.forEach((plan, i) => {
      const name = planName(plan);
      names.add(name);
      if (!(errors[i] <= errorBound(plan.algorithm, geometry))) {
        throw new Error(`${name}: ${errors[i]} exceeds ${errorBound(plan.algorithm, geometry)}`);
      }
      expect(errors[i]).toBeGreaterThan(0); // An error of none would mean that nothing was compared.
    });
  });
});

test('every algorithm was measured', () => {
  const minimal = [4, 6, 8].flatMap((points) =>
    Array.from({length: points - 2}, (_, i) => ({outputs: points - 1 - i, taps: i + 2})),
  );
  const alone = minimal.map(({outputs, taps}) => `F(${outputs},${taps})`);
  // The squares of four taps are 4×4 filters, and 7×7 ones at stride 2.
  const nested = [2, 3, 4, 5, 7].flatMap((rowTaps) =>
    minimal
      .filter(({taps}) => rowTaps !== 4 || taps === 4)
      .flatMap(({outputs, taps}) =>
        [4, 6, 8]
          .map((rowPoints) => rowPoints - rowTaps + 1)
          .filter((rowOutputs) => rowOutputs >= 2 && rowOutputs * outputs <= 24)
          .map((rowOutputs) => `F(${rowOutputs}×${outputs},${rowTaps}×${taps})`),
      ),
  );
  expect([...names].sort()).toEqual(['im2win', ...alone, ...nested].sort());
});
