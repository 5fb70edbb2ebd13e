// A graph, ready to run: its kernels are called in turn, past tfjs's engine.
import {
  engine,
  env,
  getKernel,
  type KernelBackend,
  type KernelConfig,
  type NamedTensorMap,
  type Tensor,
  type TensorInfo,
  tidy,
} from '@tensorflow/tfjs-core';
import type {Graph, Value} from './graph.ts';

interface Step {
  readonly kernel: string;
  readonly config: KernelConfig;
  readonly attrs: object;
  readonly isList: boolean;
  readonly names: readonly string[];
  /** The slot of each input, and of each output. */
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** The slots whose values nobody takes after it. */
  readonly done: readonly number[];
}

/** The kernels of a graph on a backend, and a slot for each of its values. */
export class Program {
  private readonly steps: readonly Step[];
  private readonly slots: (TensorInfo | undefined)[];
  private readonly inputs: readonly number[];
  private readonly outputs: readonly number[];
  private readonly constants: readonly number[];
  /** Inputs and constants are not given back. */
  private readonly lent: ReadonlySet<number>;
  private readonly backendName: string;

  /** @throws Error if a kernel is not registered. */
  constructor(graph: Graph, backendName: string) {
    this.backendName = backendName;
    const slots = new Map<Value, number>();
    this.slots = [];
    const constants: number[] = [];
    const slotOf = (value: Value) => {
      const known = slots.get(value);
      if (known !== undefined) return known;
      const slot = this.slots.length;
      this.slots.push(value.constant);
      if (value.constant !== undefined) constants.push(slot);
      slots.set(value, slot);
      return slot;
    };
    this.inputs = graph.inputs.map(slotOf);
    const last = new Map<number, number>();
    const steps = graph.nodes.map((node, i) => {
      const config = getKernel(node.kernel, backendName);
      if (config === undefined) throw new Error(`${node.kernel} is not registered for ${backendName}`);
      const inputs = Object.values(node.inputs).map(slotOf);
      const outputs = node.outputs.map(slotOf);
      for (const slot of [...inputs, ...outputs]) last.set(slot, i);
      const {kernel, attrs, isList} = node;
      return {kernel, config, attrs, isList, names: Object.keys(node.inputs), inputs, outputs};
    });
    this.outputs = graph.outputs.map(slotOf);
    this.constants = constants;
    this.lent = new Set([...this.inputs, ...constants]);
    const kept = new Set([...this.lent, ...this.outputs]);
    this.steps = steps.map((step, i) => ({
      ...step,
      done: [...new Set([...step.inputs, ...step.outputs])].filter(
        (slot) => last.get(slot) === i && !kept.has(slot),
      ),
    }));
  }

  /** Whether tfjs's registry still has the kernels that it runs. */
  get isCurrent(): boolean {
    const seen = new Set<string>();
    return this.steps.every(({kernel, config}) => {
      if (seen.has(kernel)) return true;
      seen.add(kernel);
      return getKernel(kernel, this.backendName) === config;
    });
  }

  /**
   * @returns A tensor for each output of the graph, in the caller's scope.
   * @throws Error if a kernel does, with nothing kept.
   */
  run(inputs: readonly Tensor[]): Tensor[] {
    // A profile shows what it is shown by tfjs's engine alone, and so does its debug mode.
    const isWatched = engine().state.profiling || env().getBool('DEBUG');
    return isWatched ? this.runByEngine(inputs) : this.runKernels(inputs);
  }

  private runKernels(inputs: readonly Tensor[]): Tensor[] {
    const {slots, steps} = this;
    const {backend} = engine();
    this.inputs.forEach((slot, i) => {
      slots[slot] = inputs[i];
    });
    try {
      for (const step of steps) {
        const result = step.config.kernelFunc({
          inputs: this.inputsOf(step) as never,
          attrs: step.attrs as never,
          backend,
        });
        const {outputs, done} = step;
        if (Array.isArray(result)) {
          for (let i = 0; i < outputs.length; ++i) slots[outputs[i]] = result[i];
        } else {
          slots[outputs[0]] = result;
        }
        for (const slot of done) this.give(slot, backend);
      }
      return this.collect(backend);
    } finally {
      for (let slot = 0; slot < slots.length; ++slot) {
        if (!this.lent.has(slot) && slots[slot] !== undefined) this.give(slot, backend);
      }
      for (const slot of this.inputs) slots[slot] = undefined;
    }
  }

  private inputsOf({isList, names, inputs}: Step): object {
    const {slots} = this;
    if (isList) return inputs.map((slot) => slots[slot]);
    const named: Record<string, TensorInfo | undefined> = {};
    for (let i = 0; i < names.length; ++i) named[names[i]] = slots[inputs[i]];
    return named;
  }

  private give(slot: number, backend: KernelBackend): void {
    backend.disposeData((this.slots[slot] as TensorInfo).dataId);
    this.slots[slot] = undefined;
  }

  /** The outputs as tensors of tfjs's, each with a claim of its own on its data. */
  private collect(backend: KernelBackend): Tensor[] {
    return this.outputs.map((slot) => {
      const {dataId, shape, dtype} = this.slots[slot] as TensorInfo;
      backend.incRef(dataId);
      return engine().makeTensorFromDataId(dataId, shape, dtype, backend);
    });
  }

  private runByEngine(inputs: readonly Tensor[]): Tensor[] {
    return tidy(() => {
      const tensors = new Map<number, Tensor>();
      this.inputs.forEach((slot, i) => {
        tensors.set(slot, inputs[i]);
      });
      for (const slot of this.constants) tensors.set(slot, this.slots[slot] as Tensor);
      for (const {kernel, isList, names, inputs, outputs, attrs} of this.steps) {
        const own = inputs.map((slot) => tensors.get(slot) as Tensor);
        const given = isList ? own : Object.fromEntries(names.map((name, i) => [name, own[i]]));
        const result = engine().runKernel(kernel, given as NamedTensorMap, attrs as never) as
          | Tensor
          | Tensor[];
        (Array.isArray(result) ? result : [result]).forEach((tensor, i) => {
          tensors.set(outputs[i], tensor);
        });
      }
      return this.outputs.map((slot) => (tensors.get(slot) as Tensor).clone());
    });
  }
}
