// Random matrix products: shapes, batches, transposes, epilogue.
import fc from 'fast-check';
import {TFJS_ACTIVATIONS} from '../../src/activation.ts';
import {type Flavour, type Im2winRegistration, registerIm2win} from '../../src/index.ts';
import {checkMatMul, type MatMulCase} from '../matMulCases.ts';
import {freshWasm} from '../tf.ts';
import type {FuzzRow} from './row.ts';

// A product of small integers and a few larger ones: tails of every kind, and several tasks.
const extent = (most: number) =>
  fc.oneof({weight: 5, arbitrary: fc.integer({min: 1, max: 20})}, fc.integer({min: 1, max: most}));

/** Of the output's shape, such as broadcasts to it. */
const operand = (shape: readonly number[]) =>
  fc
    .tuple(fc.nat({max: shape.length}), ...shape.map((size) => fc.constantFrom(1, size)))
    .map(([missing, ...sizes]) => sizes.slice(missing));

const cases: fc.Arbitrary<MatMulCase> = fc
  .record({
    batch: fc.array(fc.record({size: fc.integer({min: 1, max: 3}), ofA: fc.boolean(), ofB: fc.boolean()}), {
      maxLength: 3,
    }),
    rows: extent(150),
    depth: extent(300),
    columns: extent(150),
    transposeA: fc.boolean(),
    transposeB: fc.boolean(),
    seed: fc.integer({min: 1, max: 1000}),
    odd: fc.oneof({weight: 9, arbitrary: fc.constant(false)}, fc.constant(true)),
    activation: fc.option(fc.constantFrom(...TFJS_ACTIVATIONS), {nil: undefined}),
  })
  .chain(({batch, rows, depth, columns, ...rest}) => {
    const outShape = [...batch.map(({size, ofA, ofB}) => (ofA || ofB ? size : 1)), rows, columns];
    const one: MatMulCase = {
      aShape: [
        ...batch.map(({size, ofA}) => (ofA ? size : 1)),
        ...(rest.transposeA ? [depth, rows] : [rows, depth]),
      ],
      bShape: [
        ...batch.map(({size, ofB}) => (ofB ? size : 1)),
        ...(rest.transposeB ? [columns, depth] : [depth, columns]),
      ],
      ...rest,
    };
    if (one.activation === undefined) return fc.constant(one);
    return fc
      .record({biasShape: fc.option(operand(outShape), {nil: undefined}), slopeShape: operand(outShape)})
      .map(
        ({biasShape, slopeShape}): MatMulCase => ({
          ...one,
          biasShape,
          ...(one.activation === 'prelu' ? {slopeShape} : {}),
        }),
      );
  });

export function matMulRow(simd: Flavour): FuzzRow<MatMulCase> {
  let registration: Im2winRegistration | undefined;
  return {
    name: `matmul-${simd}`,
    cases,
    async start() {
      await freshWasm();
      registration = await registerIm2win({simd, backends: ['wasm']});
    },
    async run(one) {
      checkMatMul(one);
    },
    async stop() {
      registration?.unregister();
    },
  };
}
