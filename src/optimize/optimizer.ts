// A model in whose place graphs run, one for each distinct call.
import {engine, env, getKernel, type NamedTensorMap, Tensor, tidy} from '@tensorflow/tfjs-core';
import {Constants} from './constants.ts';
import type {Graph} from './graph.ts';
import type {KnownModel} from './models.ts';
import {PATTERNS} from './patterns/index.ts';
import {Program} from './program.ts';
import {type ModelChange, rewrite} from './rewrite.ts';
import {isRecording, type Trace, tensorsOfNow, trace} from './trace.ts';

export type ModelInputs = Tensor | Tensor[] | NamedTensorMap;
type Method = (...args: readonly unknown[]) => unknown;
type Run = (...args: readonly unknown[]) => Tensor | Tensor[];

/** What is known of a distinct call. */
interface Plan {
  readonly program: Program;
  readonly changes: readonly ModelChange[];
  readonly isList: boolean;
  readonly weights: readonly {readonly tensor: Tensor; readonly dataId: object}[];
  readonly made: readonly Tensor[];
}

/** Beyond so many shapes of inputs a model runs as it was loaded. */
const MOST_PLANS = 16;

export class Optimizer {
  private readonly plans = new Map<string, Plan | string>();
  private readonly constants = new Constants();
  private readonly restore: (() => void)[] = [];
  private readonly model: KnownModel;
  private backend: object | undefined;
  private isFull = false;

  constructor(model: KnownModel) {
    this.model = model;
    for (const {name, promises} of model.methods) {
      const run = (model.object as Record<string, Run>)[name].bind(model.object);
      this.replace(
        name,
        () =>
          (...args) =>
            this.call(name, run, args),
      );
      if (promises === undefined) continue;
      this.replace(
        promises,
        (original) =>
          (...args) =>
            this.callAsync(name, run, original, args),
      );
    }
    this.replace('dispose', (original) => (...args) => {
      this.revert();
      return original(...args);
    });
  }

  get changes(): ModelChange[] {
    const changes = new Map<string, ModelChange>();
    for (const plan of this.plans.values()) {
      if (typeof plan === 'string') continue;
      for (const change of plan.changes) changes.set(JSON.stringify(change), change);
    }
    return [...changes.values()];
  }

  /** Whether a call was recorded, or it is known why it cannot be. */
  get hasRun(): boolean {
    return this.plans.size > 0 || this.isFull;
  }

  /** Why calls run as the model was loaded, as far as some do. */
  get reasons(): string[] {
    const reasons = [...this.plans.values()].filter((plan) => typeof plan === 'string');
    if (this.isFull) reasons.push(`it was called with inputs of more than ${MOST_PLANS} kinds`);
    return [...new Set(reasons)];
  }

  revert(): void {
    for (const restore of this.restore.splice(0)) restore();
    this.forget();
  }

  private forget(): void {
    for (const plan of this.plans.values()) release(plan);
    this.plans.clear();
    this.isFull = false;
    this.constants.release();
  }

  /** Such calls run as the model was loaded from now on. */
  private leave(key: string, reason: string): void {
    const plan = this.plans.get(key);
    if (plan === undefined && this.plans.size >= MOST_PLANS) return;
    release(plan);
    this.plans.set(key, reason);
  }

  private replace(name: string, by: (original: Method) => Method): void {
    const object = this.model.object as Record<string, unknown>;
    const own = Object.getOwnPropertyDescriptor(object, name);
    object[name] = by((object[name] as Method).bind(object));
    this.restore.push(() => {
      if (own === undefined) delete object[name];
      else Object.defineProperty(object, name, own);
    });
  }

  /** As `call`, by a method that does the same and returns a promise. */
  private async callAsync(
    method: string,
    run: Run,
    original: Method,
    args: readonly unknown[],
  ): Promise<unknown> {
    const tensors = tensorsOf(args[0]);
    const key = tensors && keyOf(this.model, method, args, tensors);
    if (key === undefined || typeof this.plans.get(key) === 'string') return original(...args);
    try {
      return this.call(method, run, args);
    } catch {
      // tfjs runs control flow and dynamic shapes so alone. If it does not either, the call is wrong.
      const result = await original(...args);
      this.leave(key, `its ${method} throws`);
      return result;
    }
  }

  private call(method: string, original: Run, args: readonly unknown[]): Tensor | Tensor[] {
    const tensors = tensorsOf(args[0]);
    const isKept = engine().state.gradientDepth > 0 || env().getFlags().KEEP_INTERMEDIATE_TENSORS === true;
    if (tensors === undefined || isKept || isRecording()) return original(...args);
    const {backend} = engine();
    if (backend !== this.backend) this.forget();
    this.backend = backend;
    const key = keyOf(this.model, method, args, tensors);
    let plan = this.plans.get(key);
    if (typeof plan === 'object' && !isCurrent(plan)) {
      // Weights were changed, or kernels registered: nothing that was made of them holds any more.
      this.forget();
      plan = undefined;
    }
    if (plan === undefined) return this.first(key, tensors, () => original(...args));
    if (typeof plan === 'string') return original(...args);
    try {
      const outputs = plan.program.run(tensors);
      return plan.isList ? outputs : outputs[0];
    } catch (error) {
      // A wrong call fails by the model itself, too, with tfjs's own error.
      const result = original(...args);
      this.leave(key, `its kernels failed: ${error}`);
      return result;
    }
  }

  /** The first run of its kind, by the model itself. */
  private first(
    key: string,
    tensors: readonly Tensor[],
    original: () => Tensor | Tensor[],
  ): Tensor | Tensor[] {
    if (this.plans.size >= MOST_PLANS) {
      this.isFull = true;
      return original();
    }
    let result: Tensor | Tensor[] | undefined;
    const run = () => {
      result = original();
      return Array.isArray(result) ? result : [result];
    };
    const isOlder = tensorsOfNow();
    const traced = trace(tensors, run, (weight) => this.model.nameOf(weight));
    const plan = this.planOf(traced, Array.isArray(result), () => {
      const again = trace(
        tensors,
        () => [original()].flat(),
        () => undefined,
      );
      for (const output of again.outputs) if (!isOlder(output)) output.dispose();
      return again;
    });
    if (typeof plan === 'string') for (const tensor of traced.made) tensor.dispose();
    this.plans.set(key, plan);
    return result as Tensor | Tensor[];
  }

  private planOf(traced: Trace, isList: boolean, again: () => Trace): Plan | string {
    const {graph, weights, made, mayDiffer} = traced;
    if (typeof graph === 'string') return graph;
    if (mayDiffer) {
      const other = again();
      const same = sameValues(made, other.made);
      for (const tensor of other.made) tensor.dispose();
      if (!same) return 'what it computes differs from run to run';
    }
    try {
      const changes = this.rewrite(graph);
      const program = new Program(graph, engine().backendName);
      return {
        program,
        changes,
        isList,
        weights: weights.map((tensor) => ({tensor, dataId: tensor.dataId})),
        made,
      };
    } catch (error) {
      return `it could not be rewritten: ${error}`;
    }
  }

  private rewrite(graph: Graph): ModelChange[] {
    const {constants} = this;
    const {backendName} = engine();
    const has = (kernel: string) => getKernel(kernel, backendName) !== undefined;
    return tidy(() => rewrite(graph, PATTERNS, {graph, constants, has}) as never) as ModelChange[];
  }
}

/** The tensors of a call's inputs, or `undefined` if they are something else. */
function tensorsOf(inputs: unknown): Tensor[] | undefined {
  const list =
    inputs instanceof Tensor
      ? [inputs]
      : typeof inputs === 'object' && inputs !== null
        ? Object.values(inputs)
        : [];
  return list.length > 0 && list.every((one) => one instanceof Tensor) ? list : undefined;
}

/** All that a call depends on beside the values of its tensors. Ways of writing the same call have one key. */
function keyOf(
  {inputs: [first, second], outputs}: KnownModel,
  method: string,
  [inputs, ...rest]: readonly unknown[],
  tensors: readonly Tensor[],
): string {
  const isList = inputs instanceof Tensor || Array.isArray(inputs);
  const names = isList ? [] : Object.keys(inputs as object);
  const isOnly = names.length === 1 && second === undefined && names[0] === first?.name;
  // Of one tensor given twice a record cannot tell which input is meant.
  const specs = tensors.map((tensor) => `${tensor.dtype}${tensor.shape}@${tensors.indexOf(tensor)}`);
  const [given] = rest;
  const isUsual = rest.length < 2 && (given === undefined || [given].flat().join() === outputs?.join());
  return JSON.stringify([method, isOnly ? [] : names, specs, isUsual ? [] : rest]);
}

function release(plan: Plan | string | undefined): void {
  if (typeof plan === 'object') for (const tensor of plan.made) tensor.dispose();
}

function isCurrent({weights, program}: Plan): boolean {
  return (
    weights.every(({tensor, dataId}) => !tensor.isDisposed && tensor.dataId === dataId) && program.isCurrent
  );
}

function sameValues(a: readonly Tensor[], b: readonly Tensor[]): boolean {
  return (
    a.length === b.length &&
    a.every((tensor, i) => {
      const values = tensor.dataSync();
      const others = b[i].dataSync();
      return values.length === others.length && values.every((value, j) => Object.is(value, others[j]));
    })
  );
}
