import type {Constants} from './constants.ts';
import type {Graph, Node} from './graph.ts';

/** What a pattern may use beside the graph. */
export interface PatternContext {
  readonly graph: Graph;
  readonly constants: Constants;
  /** Whether a kernel is registered for the current backend. */
  has(kernel: string): boolean;
}

/** A way to compute the same by fewer kernels. */
export interface Pattern {
  /** As a list of changes names it. */
  readonly name: string;
  /**
   * Changes the graph where the pattern fits, seen from its last node.
   *
   * @returns The node that is there now, or `undefined` if nothing was changed.
   */
  apply(node: Node, context: PatternContext): Applied | undefined;
}

export interface Applied {
  /** The kernels that were there, in their order. */
  readonly was: readonly string[];
  /** What is there now, if anything. */
  readonly node?: Node;
}
