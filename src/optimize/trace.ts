// One run of a model, recorded: a graph of the kernels that it calls.
import {
  type DataId,
  engine,
  keep,
  type NamedAttrMap,
  type NamedTensorMap,
  scalar,
  type Tensor,
  tidy,
} from '@tensorflow/tfjs-core';
import {Graph, Node, Value} from './graph.ts';

export interface Trace {
  /** Or why there is none. */
  readonly graph: Graph | string;
  /** The constants that were there before the run: weights. */
  readonly weights: readonly Tensor[];
  /** Copies of the constants that the run made by itself. They are the caller's. */
  readonly made: readonly Tensor[];
  /** Whether another run may make others: they are not all weights in another order or shape. */
  readonly mayDiffer: boolean;
}

/** More calls than that are no network that gains by it. */
const MOST_NODES = 20_000;

/**
 * Runs a model. There is no graph of it if it depends on the values of a tensor, and not on shapes alone.
 *
 * @param inputs All tensors that differ from run to run.
 * @param run Returns the outputs.
 * @param nameOf The name of a weight.
 */
export function trace(
  inputs: readonly Tensor[],
  run: () => readonly Tensor[],
  nameOf: (weight: Tensor) => string | undefined,
): Trace & {readonly outputs: readonly Tensor[]} {
  const recorder = new Recorder(inputs, nameOf);
  try {
    const outputs = recorder.record(run);
    return {...recorder.finish(outputs), outputs};
  } catch (error) {
    recorder.release();
    throw error;
  }
}

/** Tells tensors that are there now from those that are made later: ids grow. */
export function tensorsOfNow(): (tensor: Tensor) => boolean {
  const next = tidy(() => scalar(0).id);
  return ({id}) => id < next;
}

/** What a recorder's functions have: there may be two copies of this library. */
const RECORDS = Symbol.for('tfjs-im2win.records');

/** Whether a run is recorded now. Every kernel that it calls must pass tfjs's engine. */
export const isRecording = () => RECORDS in engine().runKernel;

/** Kernels whose output's shape depends on values. */
const DYNAMIC: ReadonlySet<string> = new Set([
  'NonMaxSuppressionV3',
  'NonMaxSuppressionV4',
  'NonMaxSuppressionV5',
  'RaggedGather',
  'RaggedRange',
  'RaggedTensorToTensor',
  'SparseFillEmptyRows',
  'SparseReshape',
  'StringNGrams',
  'StringSplit',
  'Unique',
]);

/** The same data as a tensor of the run's, which outlives the run. */
function claim({dataId, shape, dtype}: Tensor): Tensor {
  const {backend} = engine();
  backend.incRef(dataId);
  return keep(engine().makeTensorFromDataId(dataId, shape, dtype, backend));
}

/** The parts of tfjs's engine that a recorder stands in for. */
type Engine = Pick<ReturnType<typeof engine>, 'runKernel' | 'readSync' | 'read'> & {
  shouldCheckForMemLeaks(): boolean;
};

class Recorder {
  private readonly values = new Map<number, Value>();
  private readonly inputs: readonly Value[];
  private readonly nodes: Node[] = [];
  /** The data of all that depends on the inputs. */
  private readonly varying = new Set<DataId>();
  private readonly weights = new Set<Tensor>();
  private readonly made: Tensor[] = [];
  /** The data of weights, and of weights in another order. */
  private readonly ofWeights = new Set<DataId>();
  private readonly isOlder: (tensor: Tensor) => boolean;
  /** Inside a kernel others may be called, which are its own business. */
  private depth = 0;
  private reason: string | undefined;
  private readonly nameOf: (weight: Tensor) => string | undefined;

  constructor(inputs: readonly Tensor[], nameOf: (weight: Tensor) => string | undefined) {
    this.nameOf = nameOf;
    this.inputs = inputs.map((tensor) => {
      const value = new Value(tensor.shape, tensor.dtype);
      this.values.set(tensor.id, value);
      this.varying.add(tensor.dataId);
      return value;
    });
    this.isOlder = tensorsOfNow();
  }

  record<T>(run: () => T): T {
    const tfjs = engine();
    // Where they are found. V8 would make every later access to the engine slow if it had them, and then lost them.
    const prototype: Engine = Object.getPrototypeOf(tfjs);
    const {runKernel, readSync, read, shouldCheckForMemLeaks} = prototype;
    const recorded = <T extends Tensor | Tensor[]>(
      kernel: string,
      inputs: NamedTensorMap,
      attrs?: NamedAttrMap,
    ): T => {
      ++this.depth;
      try {
        const result = runKernel.call(tfjs, kernel, inputs, attrs) as T;
        if (this.depth === 1) this.add(kernel, inputs, attrs, result);
        return result;
      } finally {
        --this.depth;
      }
    };
    prototype.runKernel = Object.assign(recorded, {[RECORDS]: true});
    prototype.readSync = (dataId) => {
      this.checkRead(dataId);
      return readSync.call(tfjs, dataId);
    };
    prototype.read = (dataId) => {
      this.checkRead(dataId);
      return read.call(tfjs, dataId);
    };
    // What is claimed would pass for a leak.
    prototype.shouldCheckForMemLeaks = () => false;
    try {
      return run();
    } finally {
      Object.assign(prototype, {runKernel, readSync, read, shouldCheckForMemLeaks});
    }
  }

  finish(outputs: readonly Tensor[]): Trace {
    const results = outputs.map((tensor) => this.valueOf(tensor));
    const graph = this.reason ?? new Graph(this.inputs, this.nodes, results);
    const mayDiffer = this.made.some(({dataId}) => !this.ofWeights.has(dataId));
    return {graph, weights: [...this.weights], made: this.made, mayDiffer};
  }

  release(): void {
    for (const tensor of this.made) tensor.dispose();
  }

  private add(kernel: string, inputs: NamedTensorMap, attrs: NamedAttrMap = {}, result: Tensor | Tensor[]) {
    const given = Object.entries(inputs ?? {}).filter(([, tensor]) => tensor != null);
    const results = Array.isArray(result) ? result : [result];
    // What depends on no input is the same in each run: a constant of it.
    if (given.every(([, {id}]) => !this.values.has(id) || this.values.get(id)?.constant !== undefined)) {
      for (const [, tensor] of given) {
        if (!this.isOlder(tensor)) continue;
        this.weights.add(tensor);
        this.ofWeights.add(tensor.dataId);
      }
      // A reshaped weight has the same data.
      if (kernel === 'Transpose' && this.ofWeights.has(inputs.x.dataId))
        this.ofWeights.add(results[0].dataId);
      return;
    }
    if (kernel === 'Multinomial') this.reason ??= 'it draws random numbers';
    if (DYNAMIC.has(kernel)) this.reason ??= `the shape of ${kernel}'s output depends on values`;
    if (this.nodes.length >= MOST_NODES) this.reason ??= `it calls more than ${MOST_NODES} kernels`;
    if (this.reason !== undefined) return;
    const outputs = results.map((tensor) => {
      const value = new Value(tensor.shape, tensor.dtype);
      this.values.set(tensor.id, value);
      this.varying.add(tensor.dataId);
      return value;
    });
    const values = given.map(([name, tensor]) => [name, this.valueOf(tensor)]);
    this.nodes.push(
      new Node({kernel, inputs: Object.fromEntries(values), attrs, outputs, isList: Array.isArray(inputs)}),
    );
  }

  private valueOf(tensor: Tensor): Value {
    const known = this.values.get(tensor.id);
    if (known !== undefined) return known;
    if (this.varying.has(tensor.dataId)) this.reason ??= 'it makes a tensor of another one by itself';
    let constant = tensor;
    if (this.isOlder(tensor)) {
      this.weights.add(tensor);
    } else {
      constant = claim(tensor);
      this.made.push(constant);
    }
    const value = new Value(tensor.shape, tensor.dtype, {tensor: constant, name: this.nameOf(tensor)});
    this.values.set(tensor.id, value);
    return value;
  }

  private checkRead(dataId: DataId): void {
    if (this.depth > 0) return;
    // What a layer reads of a variable holds until the variable is assigned.
    for (const variable of Object.values(engine().state.registeredVariables)) {
      if (variable.dataId === dataId) this.weights.add(variable);
    }
    if (this.varying.has(dataId)) {
      this.reason ??= 'it reads a tensor while it runs, so that what it computes may depend on values';
    }
  }
}
