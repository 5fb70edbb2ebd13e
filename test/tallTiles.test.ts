// Tall tiles: what they compute, and when they are chosen.
import {openState, runPlan} from '../bench/wasmState.ts';
import {convGeometry} from '../src/geometry.ts';
import {operandStrides} from '../src/operand.ts';
import {planFull} from '../src/planner.ts';
import {TARGETS} from '../src/targets.generated.ts';
import type {WasmState} from '../src/wasm/state.ts';
import {TallTiles} from '../src/wasm/tallTiles.ts';
import {type ConvCase, convCase, type Epilogue, expectConvolution, freshWasm, operandsOf, tf} from './tf.ts';

let state: WasmState;
beforeAll(async () => {
  await freshWasm();
  state = await openState('relaxed');
});

const range = (from: number, to: number) => Array.from({length: to - from + 1}, (_, i) => from + i);

const PROBLEMS: Record<string, ConvCase[]> = {
  // Through every number of windows; of small filters, wide ones, and others; and every step of a window that is left.
  'a few windows at a time': range(1, 70).map((width) =>
    convCase([1, 1, width, 1 + (width % 19)], [1, 1, 1 + (width % 19), 20]),
  ),
  'wide filters': range(1, 26).map((width) => convCase([1, 3, width, 40], [1, 1, 40, 124])),
  'panel after panel': range(1, 26).map((width) => convCase([1, 3, width, 520], [1, 1, 520, 12])),
  'in segments': range(1, 20).map((width) => convCase([1, 4, width + 2, 16], [3, 3, 16, 24])),
};

const EPILOGUES: Epilogue[] = [
  {activation: 'linear'},
  {activation: 'relu6', biasShape: [1]},
  {activation: 'sigmoid'},
];

describe.each(['im2win', 'winograd'] as const)('%s', (algorithm) => {
  test.each(Object.keys(PROBLEMS))('%s: sums do not depend on it', (name) => {
    PROBLEMS[name].forEach((problem, i) => {
      const {pad, xShape, filterShape} = problem;
      const epilogue = EPILOGUES[i % EPILOGUES.length];
      const geometry = convGeometry(xShape, filterShape, {strides: [...problem.strides], pad});
      const plan = planFull(geometry, {target: 'relaxed', algorithm, winograd: true});
      const operands = operandsOf(problem, epilogue, 1);
      const {x, filter, bias} = operands;
      const spec = {
        geometry,
        plan,
        activation: epilogue.activation as 'linear',
        bias: bias && operandStrides('bias', bias.shape, geometry),
      };
      const [low, tall] = ([0, 1] as const).map((chosen) => {
        state.tall.chosen = chosen;
        const info = runPlan(state, spec, {x, filter, bias, alpha: 0});
        return tf.engine().makeTensorFromTensorInfo(info);
      });
      expectConvolution(tall, problem, epilogue, operands, plan.algorithm);
      expect(tall.dataSync()).toEqual(low.dataSync());
      tf.dispose([low, tall, x, filter, ...(bias ? [bias] : [])]);
    });
  });
});

describe('they are chosen', () => {
  /** Looks until it is decided, on an engine where the tiles take so long. */
  function chosen(times: (look: number) => {low: number; tall: number}, target = TARGETS.relaxed) {
    let now = 0;
    let runs = 0;
    const clock = jest.spyOn(performance, 'now').mockImplementation(() => now);
    const tiles = new TallTiles(target);
    const {heap, kernels} = state;
    const im2win_gemm = (...args: Parameters<typeof kernels.im2win_gemm>) => {
      const {low, tall} = times(runs >> 1);
      now += runs++ % 2 === 0 ? low : tall;
      kernels.im2win_gemm(...args);
    };
    for (let look = 0; look < 1000; ++look) tiles.look({heap, kernels: {...kernels, im2win_gemm}});
    clock.mockRestore();
    return {tall: tiles.chosen, runs};
  }

  test('where they are faster, after some looks', () => {
    const {tall, runs} = chosen(() => ({low: 1.6, tall: 1.5}));
    expect(tall).toBe(1);
    expect(runs).toBeLessThan(1000);
  });

  test('although most looks are disturbed', () => {
    const disturbed = (look: number) => ({low: 2 + (look % 7), tall: look % 30 === 0 ? 1.7 : 9});
    expect(chosen(disturbed).tall).toBe(1);
  });

  test.each([
    ['slower', 1.9, 2.3],
    ['as fast', 10, 10],
    ['compiled, and the others not', 20, 1.5],
    ['compiled later', 1.6, 20],
    ['too fast for the clock', 0, 0],
  ])('not where they are %s', (_, low, tall) => {
    expect(chosen(() => ({low, tall})).tall).toBe(0);
  });

  test('never where a flavour has none', () => {
    expect(chosen(() => ({low: 1.6, tall: 1.5}), TARGETS.strict as typeof TARGETS.relaxed)).toEqual({
      tall: 0,
      runs: 0,
    });
  });
});
