// A network as TensorFlow's graph: as tfjs's converter writes it, or as TensorFlow itself does.
import {type Fused, GraphWriter, type Value as Node} from '../../graphWriter.ts';
import type {Activation, Operation, Operations, Value, Weighted} from './operations.ts';

const FUSED: Record<Activation, Fused> = {relu: 'Relu', relu6: 'Relu6'};

/** @param fused Whether biases and clamps are fused, into ops of which one is tfjs's own. */
export function toGraph({input, operations}: Operations, fused: boolean): GraphWriter {
  const graph = new GraphWriter();
  const nodes = new Map<Value, Node>([[input, graph.input(input.shape)]]);
  for (const operation of operations) {
    const inputs = operation.inputs.map((value) => nodes.get(value) as Node);
    nodes.set(operation.output, write(graph, operation, inputs, fused));
  }
  return graph;
}

function write(graph: GraphWriter, operation: Operation, inputs: readonly Node[], fused: boolean): Node {
  const [x] = inputs;
  switch (operation.kind) {
    case 'conv':
    case 'depthwise':
    case 'dense':
    case 'transposed':
      return weighted(graph, operation, x, fused);
    case 'add':
      return clamped(graph, graph.binary('AddV2', x, inputs[1]), operation.activation);
    case 'multiply':
      return graph.binary('Mul', x, inputs[1]);
    case 'concat':
      return graph.concat(inputs, operation.axis);
    case 'maxPool':
      return graph.maxPool(x, {...operation, valid: operation.padding === 'valid'});
    case 'pad':
      return graph.pad(x, operation.before, operation.after);
    case 'mean':
      return graph.mean(x);
    case 'upsample':
      return graph.upsample(x);
    case 'reshape':
      return graph.reshape(x, operation.output.shape);
    case 'relu':
    case 'relu6':
      return graph.unary(FUSED[operation.kind], x);
    case 'sigmoid':
      return graph.unary('Sigmoid', x);
    case 'softmax':
      return graph.unary('Softmax', x);
  }
}

function weighted(graph: GraphWriter, operation: Operation & Weighted, x: Node, fused: boolean): Node {
  const {filter, bias, activation} = operation;
  const constants = [graph.constant(filter.shape, filter.values), graph.constant([bias.length], bias)];
  const end = activation && FUSED[activation];
  switch (operation.kind) {
    case 'dense':
      if (fused) return graph.product('_FusedMatMul', [x, ...constants], end);
      return biased(graph, graph.product('MatMul', [x, constants[0]]), constants[1], activation);
    case 'transposed': {
      const y = graph.transposed(x, constants[0], operation.strides);
      return biased(graph, y, constants[1], activation);
    }
    default: {
      const [plain, all] =
        operation.kind === 'conv'
          ? ['Conv2D', '_FusedConv2D']
          : ['DepthwiseConv2dNative', 'FusedDepthwiseConv2dNative'];
      const options = {...operation, valid: operation.padding === 'valid', fused: end};
      if (fused) return graph.convolution(all, [x, ...constants], options);
      return biased(graph, graph.convolution(plain, [x, constants[0]], options), constants[1], activation);
    }
  }
}

const biased = (graph: GraphWriter, x: Node, bias: Node, activation?: Activation): Node =>
  clamped(graph, graph.binary('BiasAdd', x, bias), activation);

const clamped = (graph: GraphWriter, x: Node, activation?: Activation): Node =>
  activation === undefined ? x : graph.unary(FUSED[activation], x);
