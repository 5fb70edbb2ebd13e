// A family is a kind of kernel. Here is what routes.ts and served.ts, which know no family by name, see of one.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import type {PlanContext} from './plan.ts';
import type {Signature} from './signature.ts';

/** A kernel that a family computes. */
export interface Kernel {
  /** tfjs's name. */
  readonly name: string;
  /** What a user calls, for errors. */
  readonly op: string;
  /**
   * It is added where tfjs has none. Other kernels are replaced where tfjs has them: a tree-shaken build of
   * tfjs lacks those that its models do not call.
   */
  readonly added?: true;
}

/** A kernel's call, as tfjs makes it. */
export interface Call<Inputs extends object = object, Attributes = object | undefined> {
  readonly inputs: Inputs;
  /** Many of tfjs's ops give none. */
  readonly attrs: Attributes;
  /** The instance of tfjs's backend. */
  readonly backend: object;
}

/** Where a call runs. Beside the call itself, its route depends on nothing else. */
export interface CallContext extends PlanContext {
  /** Why nothing of ours can run on this instance of the backend, if so. */
  readonly unavailable?: string;
}

/** What becomes of a distinct call each time it is made: its plan, or why it is left to tfjs's own kernel. */
export type Route<Plan extends {readonly algorithm: string} = {readonly algorithm: string}> =
  | {readonly plan: Plan; readonly reason?: undefined}
  | {readonly plan?: undefined; readonly reason: string};

/** The route of a call that is not left to tfjs. */
export type OwnRoute<R extends Route> = Extract<R, {readonly reason?: undefined}>;

/** A kind of kernel, on one backend. */
export interface Family<K extends Kernel = Kernel, C extends Call = Call, R extends Route = Route> {
  /** The kernels that are ours on the backend. */
  readonly kernels: readonly K[];
  /** Not what users register for: `kernels: 'convolutions'` leaves it out, and `report()` shows it where asked. */
  readonly secondary?: true;
  /**
   * Adds all that a call's route depends on, beside kernel and context. It runs at each call, and makes no
   * object and no string.
   */
  sign(signature: Signature, call: C, kernel: K): void;
  /** Whether tfjs's kernel is done sooner than a call's route is found: the call is left to it, uncounted. */
  leaves?(kernel: K, call: C): boolean;
  /**
   * Checks a call that was not seen before, and plans it.
   *
   * @throws InvalidArgument if it is not one that the kernel can have.
   */
  plan(kernel: K, call: C, context: CallContext): R;
  /**
   * What a record shows of a route, beside who computes it. The record must not refer to objects of the call. A field
   * `xShape` is for convolutions, and `inputShapes` for kernels around them: by these a user tells them from other records.
   */
  record(call: C, route: R): object;
  /**
   * @returns The output, or a list of them where tfjs's kernel returns one.
   * @throws Error if out of memory, with nothing kept.
   */
  compute(kernel: K, call: C, route: OwnRoute<R>): TensorInfo | TensorInfo[];
}
