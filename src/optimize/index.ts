/**
 * Models that run by fewer kernels.
 *
 * @module tfjs-im2win/optimize
 */
import {type DataType, dispose, engine, ready, Tensor, zeros} from '@tensorflow/tfjs-core';
import {checkNames, describe, InvalidArgument, namingOp} from '../describe.ts';
import {type KnownModel, knownModel} from './models.ts';
import {type ModelInputs, Optimizer} from './optimizer.ts';
import type {ModelChange} from './rewrite.ts';
import {tensorsOfNow} from './trace.ts';

export type {ModelInputs} from './optimizer.ts';
export type {ModelChange} from './rewrite.ts';

export interface OptimizeOptions {
  /**
   * An input on which the optimised model is compared with the model as it was loaded: an output may differ by 1e-5 of
   * its largest value.
   */
  readonly verify?: ModelInputs;
}

/** What `GraphModel` and `LayersModel` have in common. */
export interface OptimizableModel {
  predict(...args: never[]): unknown;
  dispose(): unknown;
}

/** What {@link optimizeModel} returns. */
export interface OptimizedModel {
  /** What became what, for the shapes of inputs that the model was run with so far. */
  readonly changes: readonly ModelChange[];
  /** Why some calls run as the model was loaded; empty if none does. The words may change in any version. */
  readonly reasons: readonly string[];
  /** The model as it was loaded. All that was made for it is freed. */
  revert(): void;
}

/** What outputs may differ by, as a part of their largest value. */
const TOLERANCE = 1e-5;

const NOT_YET =
  'no call was recorded yet: an input of no fixed size and no verify were given; look again after a call';

const optimized = new WeakMap<object, Optimizer>();

/**
 * Lets a model run by fewer kernels: batch norms become parts of filters, and activations, residual sums and paddings parts
 * of convolutions.
 *
 * A run is recorded for each distinct shape of the inputs, the first time with zeros, here. Later calls of `predict` (of a
 * `GraphModel` also `execute`, `executeAsync` and `predictAsync`, of a `LayersModel` also `predictOnBatch`) run what came of
 * the record. So a custom layer's `call` runs once or twice for a shape, as in TensorFlow's `tf.function`. Everything else of
 * the model stays as it is: saving and training go by the weights as they were loaded, and a run after its weights were
 * changed records anew.
 *
 * What it makes of convolutions is computed by im2win, whatever the registration's algorithm: to compare with stock, time the
 * model before, or after `revert()`.
 *
 * Call it after `registerIm2win()`. Without that, and on another backend than wasm and cpu, changes are those that need no
 * kernel of this package.
 *
 * @param model A `GraphModel` or a `LayersModel`; it is changed in place.
 * @param options None are needed.
 * @throws Error if it is no model, if it is optimised already, or if the outputs for `verify` differ: it is reverted then.
 */
export async function optimizeModel(
  model: OptimizableModel,
  options: OptimizeOptions = {},
): Promise<OptimizedModel> {
  const known = knownModel(model);
  if (known === undefined) {
    throw new Error(
      `optimizeModel: model is ${describe(model)}; allowed: a GraphModel or a LayersModel of tfjs.`,
    );
  }
  if (optimized.has(model)) {
    throw new Error(
      'optimizeModel: model is optimised already; call revert() of what was returned then first.',
    );
  }
  namingOp('optimizeModel', () => checkOptions(options));
  const {verify} = options;
  const reason = missingParts() ?? (known.hasState ? 'it has a state, which a run changes' : undefined);
  if (reason !== undefined) return {changes: [], reasons: [reason], revert() {}};
  await ready();
  // A model may return an input or a weight.
  const isOlder = tensorsOfNow();
  const drop = (outputs: readonly Tensor[] = []) => {
    for (const output of outputs) if (!isOlder(output)) output.dispose();
  };
  const expected = verify === undefined ? undefined : await run(known, verify);
  const optimizer = new Optimizer(known);
  optimized.set(model, optimizer);
  const revert = () => {
    optimizer.revert();
    // Of a model that was optimised anew this is over.
    if (optimized.get(model) === optimizer) optimized.delete(model);
  };
  let input = verify;
  try {
    input ??= exampleOf(known);
    if (input !== undefined) {
      try {
        drop(await run(known, input));
      } finally {
        if (input !== verify) dispose(input);
      }
    }
    if (verify !== undefined && expected !== undefined) {
      const outputs = await run(known, verify);
      try {
        compare(expected, outputs);
      } finally {
        drop(outputs);
      }
    }
  } catch (error) {
    revert();
    throw error;
  } finally {
    drop(expected);
  }
  return {
    get changes() {
      return optimizer.changes;
    },
    get reasons() {
      const isWaiting = input === undefined && !optimizer.hasRun && optimized.get(model) === optimizer;
      return isWaiting ? [NOT_YET] : optimizer.reasons;
    },
    revert,
  };
}

/** @throws InvalidArgument if there is no such option, or its value is none that a model takes. */
function checkOptions(options: OptimizeOptions): void {
  checkNames(options, ['verify']);
  const verify: unknown = options.verify;
  if (verify === undefined || verify instanceof Tensor) return;
  const parts = typeof verify === 'object' && verify !== null ? Object.values(verify) : [];
  if (parts.length === 0 || !parts.every((part) => part instanceof Tensor)) {
    throw new InvalidArgument(
      `verify is ${describe(verify)}; allowed: a tensor, a list of tensors, or tensors by name.`,
    );
  }
}

/** Why this tfjs cannot be served. */
function missingParts(): string | undefined {
  const tfjs = engine() as Partial<ReturnType<typeof engine>>;
  const functions = ['runKernel', 'readSync', 'read', 'makeTensorFromDataId', 'moveData'] as const;
  const missing = functions.filter((name) => typeof tfjs[name] !== 'function' || Object.hasOwn(tfjs, name));
  const {profiling, gradientDepth} = tfjs.state ?? {};
  if (missing.length === 0 && typeof profiling === 'boolean' && typeof gradientDepth === 'number')
    return undefined;
  return `this version of tfjs is not known (${[...missing, 'state'].join(', ')}): nothing is changed`;
}

async function run(
  {object, methods: [{name, promises}]}: KnownModel,
  inputs: ModelInputs,
): Promise<Tensor[]> {
  const call = (method: string) =>
    (object as Record<string, (inputs: ModelInputs) => Tensor | Tensor[] | Promise<Tensor | Tensor[]>>)[
      method
    ](inputs);
  let outputs: Tensor | Tensor[];
  try {
    outputs = await call(name);
  } catch (error) {
    // What has control flow, or shapes that depend on values, runs so alone.
    if (promises === undefined) throw error;
    outputs = await call(promises);
  }
  return Array.isArray(outputs) ? outputs : [outputs];
}

/** What `zeros` can make. */
const DTYPES: readonly (string | undefined)[] = ['float32', 'int32', 'bool', 'complex64', undefined];

/** Zeros of the shapes that a model says its inputs have, with one image; `undefined` if it does not say. */
function exampleOf({inputs}: KnownModel): Tensor[] | undefined {
  const shapes = inputs.map(({shape}) => (shape === undefined ? [-1, -1] : oneOf(shape)));
  if (shapes.length === 0 || shapes.flat().some((size) => size < 0)) return undefined;
  if (!inputs.every(({dtype}) => DTYPES.includes(dtype))) return undefined;
  return shapes.map((shape, i) => zeros(shape, (inputs[i].dtype ?? 'float32') as DataType));
}

/** A shape with a single image where the number of them may be any. */
function oneOf(shape: readonly (number | null)[]): number[] {
  return shape.map((size, i) => (size !== null && size >= 0 ? size : i === 0 ? 1 : -1));
}

/** @throws Error if they differ by more than rounding. */
function compare(expected: readonly Tensor[], outputs: readonly Tensor[]): void {
  expected.forEach((tensor, i) => {
    const values = tensor.dataSync();
    const others = outputs[i].dataSync();
    let largest = 0;
    let difference = 0;
    values.forEach((value, j) => {
      largest = Math.max(largest, Math.abs(value));
      const own = Object.is(value, others[j]) ? 0 : Math.abs(value - others[j]);
      difference = own > difference || Number.isNaN(own) ? own : difference;
    });
    if (!(difference <= TOLERANCE * largest)) {
      throw new Error(
        `optimizeModel: output ${i} differs by ${difference} where its largest value is ${largest}; ` +
          `allowed: ${TOLERANCE} of it. The model is as it was loaded.`,
      );
    }
  });
}
