// The models of tfjs, by what they have: neither the converter nor tfjs-layers is imported.
import type {DataId, Tensor} from '@tensorflow/tfjs-core';

/** What is known of a model. */
export interface KnownModel {
  readonly object: object;
  /** The methods that run it, with the inputs as their first argument. */
  readonly methods: readonly ModelMethod[];
  /** Of its inputs; null or -1 is a size that may be any. */
  readonly inputs: readonly {
    readonly name?: string;
    readonly shape?: readonly (number | null)[];
    readonly dtype?: string;
  }[];
  /** What its methods return if they are not told. */
  readonly outputs?: readonly string[];
  /** Whether a run changes what the next one computes. */
  readonly hasState: boolean;
  nameOf(weight: Tensor): string | undefined;
}

export interface ModelMethod {
  readonly name: string;
  /** The method that does the same and returns a promise. */
  readonly promises?: string;
}

interface GraphModelParts {
  readonly inputs: KnownModel['inputs'];
  readonly outputNodes?: readonly string[];
  readonly weights: Readonly<Record<string, readonly Tensor[]>>;
}

interface LayersModelParts {
  readonly inputs?: KnownModel['inputs'];
  readonly stateful?: boolean;
  readonly weights: readonly {readonly name: string; read(): Tensor}[];
}

/** @returns Or `undefined` if it is no model of tfjs's. */
export function knownModel(model: unknown): KnownModel | undefined {
  if (typeof model !== 'object' || model === null) return undefined;
  const parts = model as Record<string, unknown>;
  const has = (...methods: string[]) => methods.every((name) => typeof parts[name] === 'function');
  if (!has('predict', 'dispose')) return undefined;
  if (has('execute', 'executeAsync') && isObject(parts.weights) && Array.isArray(parts.inputs)) {
    return graphModel(model as GraphModelParts);
  }
  if (has('predictOnBatch', 'getLayer') && Array.isArray(parts.layers)) {
    return layersModel(model as LayersModelParts);
  }
  return undefined;
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

function graphModel(model: GraphModelParts): KnownModel {
  const names = new Map<DataId, string>();
  for (const [name, tensors] of Object.entries(model.weights)) {
    for (const {dataId} of tensors) names.set(dataId, name);
  }
  return {
    object: model,
    // predict calls execute, and predictAsync executeAsync.
    methods: [{name: 'execute', promises: 'executeAsync'}],
    inputs: model.inputs,
    outputs: model.outputNodes,
    hasState: false,
    nameOf: ({dataId}) => names.get(dataId),
  };
}

function layersModel(model: LayersModelParts): KnownModel {
  const names = new Map<DataId, string>();
  return {
    object: model,
    methods: [{name: 'predict'}, {name: 'predictOnBatch'}],
    inputs: model.inputs ?? [],
    hasState: model.stateful === true,
    nameOf({dataId}) {
      // A sequential model has its weights once it is built.
      if (names.size === 0) {
        for (const weight of model.weights) names.set(weight.read().dataId, weight.name);
      }
      return names.get(dataId);
    },
  };
}
