// What is said of a kind of kernel, a family, to those who know none of them by name: routes.ts and served.ts.
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
   * It is added where tfjs has none. Others are replaced where they are there: a tree-shaken build of tfjs has left
   * out what its models do not call.
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

/** Where a call runs, and what a plan may not depend on otherwise. */
export interface CallContext extends PlanContext {
  /** The threads that tfjs's own kernels run on. */
  readonly threads: number;
  /** Why nothing of ours can run on this instance of the backend, if so. */
  readonly unavailable?: string;
}

/** All that is the same in each call of one distinct call: how it is computed, or why that is left to tfjs's own kernel. */
export type Route =
  | {readonly plan: {readonly algorithm: string}; readonly reason?: undefined}
  | {readonly plan?: undefined; readonly reason: string};

/** The route of a call that is not left to tfjs. */
export type OwnRoute<R extends Route> = Extract<R, {readonly reason?: undefined}>;

/** A kind of kernel, on one backend. */
export interface Family<K extends Kernel = Kernel, C extends Call = Call, R extends Route = Route> {
  /** Those that are ours on the backend. */
  readonly kernels: readonly K[];
  /** Not what users register for: `kernels: 'convolutions'` leaves it out, and `report()` shows it where asked. */
  readonly secondary?: true;
  /**
   * Adds all of a call that its route depends on, beside kernel and context. Runs at each call: it makes no object
   * and no string.
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
  /** What a record shows of a route, beside who computes it. It keeps nothing of the call. */
  record(call: C, route: R): object;
  /**
   * @returns The output, or a list of them where tfjs's kernel returns one.
   * @throws Error if out of memory, with nothing kept.
   */
  compute(kernel: K, call: C, route: OwnRoute<R>): TensorInfo | TensorInfo[];
}
