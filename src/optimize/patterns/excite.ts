import {convolutionOf} from '../convolution.ts';
import {Value} from '../graph.ts';
import type {Pattern} from '../pattern.ts';

/** By so much an image must have more values than the filter: a filter that changes is packed anew for each run. */
const LEAST = 8;

/**
 * Factors of an image's channels, as squeeze-and-excite has them, are multiplied with the filter of one pixel behind it
 * instead of with the image. It is the last of the patterns: to others a filter that changes is none.
 */
export const excite: Pattern = {
  name: 'factors of channels into the filter behind',
  apply(node, {graph, has}) {
    const convolution = convolutionOf(node);
    const product = node.inputs.x?.producer;
    if (convolution?.kind !== 'full' || product?.kernel !== 'Multiply' || !has('Im2winConv2D'))
      return undefined;
    if (graph.onlyConsumer(product.output) !== node || node.attrs.dataFormat === 'NCHW') return undefined;
    const {filter} = convolution;
    const [height, width, channels] = filter.shape;
    const {a, b} = product.inputs;
    const [x, gate] = a.shape.join() === product.output.shape.join() ? [a, b] : [b, a];
    const fits =
      height * width === 1 &&
      x.shape.join() === product.output.shape.join() &&
      x.shape[0] === 1 &&
      gate.shape[gate.shape.length - 1] === channels &&
      sizeOf(gate) === channels &&
      sizeOf(x) >= LEAST * sizeOf(filter);
    if (!fits) return undefined;
    const factors = new Value([1, 1, channels, 1], gate.dtype);
    graph.insert(node, {
      kernel: 'Reshape',
      inputs: {x: gate},
      attrs: {shape: [...factors.shape]},
      outputs: [factors],
    });
    const scaled = new Value(filter.shape, filter.dtype);
    graph.insert(node, {kernel: 'Multiply', inputs: {a: filter, b: factors}, attrs: {}, outputs: [scaled]});
    const {kernel, attrs, inputs} = node;
    const now = graph.replace(node, {kernel, attrs, inputs: {...inputs, x, filter: scaled}});
    return {was: ['Multiply', kernel], node: now};
  },
};

const sizeOf = ({shape}: Value) => shape.reduce((product, size) => product * size, 1);
