// Every Winograd plan on every tail, also those that the cost model would not choose.
import {everyPlan, planName} from '../bench/accuracy.ts';
import {openState, runPlan} from '../bench/wasmState.ts';
import {convGeometry} from '../src/geometry.ts';
import {operandStrides} from '../src/operand.ts';
import type {Flavour} from '../src/plan.ts';
import type {WasmState} from '../src/wasm/state.ts';
import {type ConvCase, convCase, type Epilogue, expectConvolution, freshWasm, operandsOf, tf} from './tf.ts';

const range = (from: number, to: number) => Array.from({length: to - from + 1}, (_, i) => from + i);

const PROBLEMS: Record<string, ConvCase[]> = {
  'output rows, through every group of them': range(1, 13).map((height) =>
    convCase([1, height, 7, 5], [3, 3, 5, 9], {pad: 'same'}),
  ),
  'output pixels, through every tile of them': range(1, 13).map((width) =>
    convCase([1, 6, width, 5], [3, 3, 5, 9], {pad: 'same'}),
  ),
  'input channels, through every vector tail': range(1, 9).map((channels) =>
    convCase([1, 6, 7, channels], [3, 3, channels, 8]),
  ),
  'output channels, through every group of panels': [
    1, 3, 4, 7, 8, 9, 12, 13, 16, 17, 24, 29, 32, 33, 41,
  ].map((channels) => convCase([1, 5, 9, 3], [3, 3, 3, channels], {pad: 'same'})),
  'a first layer, whose windows are shallow: one tile, a group of them and more, each with every tail': [
    ...range(1, 5),
    ...range(30, 38),
  ].flatMap((width) => [
    convCase([1, 5, width, 3], [3, 3, 3, 16], {pad: 'same'}),
    convCase([2, 7, 2 * width, 3], [5, 5, 3, 8], {strides: [2, 2], pad: 'same'}),
  ]),
  'taps along height and width': [2, 3, 5, 7].flatMap((height) =>
    range(2, 7).map((width) => convCase([1, 9, 10, 3], [height, width, 3, 5], {pad: 'same'})),
  ),
  'strides, whose phases may lack taps': range(1, 4).flatMap((strideHeight) =>
    range(1, 4).flatMap((strideWidth) =>
      [3, 7].map((size) =>
        convCase([1, 14, 15, 3], [size, size, 3, 6], {strides: [strideHeight, strideWidth], pad: 'same'}),
      ),
    ),
  ),
  'padding wider than the filter': [
    convCase([1, 3, 4, 3], [3, 3, 3, 5], {
      pad: [
        [0, 0],
        [4, 1],
        [0, 5],
        [0, 0],
      ],
    }),
    convCase([2, 5, 6, 3], [3, 3, 3, 5], {pad: 4, strides: [2, 2]}),
  ],
  batches: [convCase([3, 7, 9, 4], [3, 3, 4, 10], {pad: 'same'})],
  'more than a block of rows, and rows in parts': [
    convCase([1, 40, 30, 32], [3, 3, 32, 8], {pad: 'same'}),
    convCase([1, 5, 61, 200], [3, 3, 200, 8], {pad: 'same'}),
    convCase([1, 3, 400, 40], [3, 3, 40, 8], {pad: 'same'}),
  ],
};

const EPILOGUES: Epilogue[] = [
  {activation: 'linear'},
  {activation: 'relu6', biasShape: [1]},
  {activation: 'prelu', biasShape: [7, 50, 1], slopeShape: [7, 50, 12]},
  {activation: 'sigmoid', biasShape: [50, 12]},
];

describe.each(['relaxed', 'strict'] as const)('%s', (flavour: Flavour) => {
  let state: WasmState;
  beforeAll(async () => {
    await freshWasm();
    state = await openState(flavour);
  });

  function check(problem: ConvCase, epilogue: Epilogue): string[] {
    const {pad, xShape, filterShape} = problem;
    const geometry = convGeometry(xShape, filterShape, {strides: [...problem.strides], pad});
    const plans = everyPlan(geometry, flavour);
    const operands = operandsOf(problem, epilogue, 1);
    const {bias, preluActivationWeights: slope} = operands;
    const spread = (name: string, tensor?: tf.Tensor) =>
      tensor && operandStrides(name, tensor.shape, geometry);
    // Panels that are kept, and once panels that the call makes.
    for (const plan of [...plans, {...plans[plans.length - 1], repacks: true}]) {
      const spec = {
        geometry,
        plan,
        activation: epilogue.activation as 'linear',
        bias: spread('bias', bias),
        slope: spread('preluActivationWeights', slope),
      };
      const info = runPlan(state, spec, {x: operands.x, filter: operands.filter, bias, slope, alpha: 0.2});
      const output = tf.engine().makeTensorFromTensorInfo(info);
      const named = {...problem, name: `${problem.name} ${planName(plan)}`};
      expectConvolution(output, named, epilogue, operands, plan.algorithm);
      output.dispose();
    }
    tf.dispose(Object.values(operands).filter((tensor) => tensor !== undefined));
    return plans.map(planName);
  }

  for (const [name, problems] of Object.entries(PROBLEMS)) {
    test(name, () => {
      const names = new Set(problems.flatMap((problem) => check(problem, EPILOGUES[0])));
      expect(names.size).toBeGreaterThan(9);
    });
  }

  test.each(EPILOGUES)('epilogue %j', (epilogue) => {
    check(convCase([2, 7, 50, 6], [3, 3, 6, 12], {pad: 'same'}), epilogue);
  });

  test.each<Epilogue>([
    {activation: 'relu6', biasShape: [16]},
    {activation: 'leakyrelu', leakyreluAlpha: 0.2},
    {activation: 'prelu', biasShape: [7, 50, 1], slopeShape: [16]},
    {activation: 'prelu', biasShape: [16], slopeShape: [16]},
    {activation: 'prelu', slopeShape: [7, 50, 16]},
    {activation: 'sigmoid', biasShape: [50, 16]},
  ])('shallow windows, epilogue %j', (epilogue) => {
    const problem = convCase([2, 7, 50, 3], [3, 3, 3, 16], {pad: 'same'});
    const geometry = convGeometry(problem.xShape, problem.filterShape, {strides: 1, pad: 'same'});
    expect(everyPlan(geometry, flavour).some((plan) => plan.algorithm === 'winograd' && plan.shallow)).toBe(
      true,
    );
    check(problem, epilogue);
  });
});
