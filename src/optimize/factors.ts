// Products with a constant, however they are written.
import {scalarOf} from './constants.ts';
import type {Graph, Node, Value} from './graph.ts';

/** What a node multiplies by, if it is a product with, or a quotient by, one constant. */
export function factorOf({
  kernel,
  inputs: {a, b},
}: Node): {readonly x: Value; readonly factor: number} | undefined {
  if (kernel !== 'Multiply' && kernel !== 'RealDiv') return undefined;
  const right = scalarOf(b);
  if (right !== undefined && a.constant === undefined) {
    return {x: a, factor: kernel === 'Multiply' ? right : 1 / right};
  }
  const left = scalarOf(a);
  return kernel === 'Multiply' && left !== undefined && b.constant === undefined
    ? {x: b, factor: left}
    : undefined;
}

/**
 * A value without the constants that it was multiplied by.
 *
 * @param by Who takes it. Nobody else takes it, or what is found on the way.
 */
export function strip(value: Value, by: Node, graph: Graph): {readonly x: Value; readonly factor: number} {
  let x = value;
  let factor = 1;
  for (let consumer = by; x.producer !== undefined && graph.onlyConsumer(x) === consumer; ) {
    const own = factorOf(x.producer);
    if (own === undefined) break;
    consumer = x.producer;
    factor *= own.factor;
    x = own.x;
  }
  return {x, factor};
}

/** Whether a factor is a sixth, as a float. */
export const isSixth = (factor: number) => Math.abs(6 * factor - 1) < 1e-6;
