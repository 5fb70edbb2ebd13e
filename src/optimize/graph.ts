// A model as the patterns see it: the kernels that one run of it calls, and the values between them.
import type {NamedAttrMap, Tensor} from '@tensorflow/tfjs-core';

/** A tensor of each run, or a constant of all of them. */
export class Value {
  readonly shape: readonly number[];
  readonly dtype: Tensor['dtype'];
  /** What makes it; missing of the model's inputs and of constants. */
  producer?: Node;
  readonly consumers = new Set<Node>();
  /** A weight, or what was computed of weights alone. */
  readonly constant?: Tensor;
  /** Of a weight, or of what was made of it. */
  readonly name?: string;

  constructor(
    shape: readonly number[],
    dtype: Tensor['dtype'],
    constant?: {readonly tensor: Tensor; readonly name?: string},
  ) {
    this.shape = shape;
    this.dtype = dtype;
    this.constant = constant?.tensor;
    this.name = constant?.name;
  }
}

/** By the names of a kernel's inputs; those of a list are its indices. */
export type NodeInputs = Readonly<Record<string, Value>>;

/** A kernel's call. */
export class Node {
  readonly kernel: string;
  readonly inputs: NodeInputs;
  /** Whether the kernel takes a list of tensors. */
  readonly isList: boolean;
  readonly attrs: NamedAttrMap;
  readonly outputs: readonly Value[];

  constructor({kernel, inputs, attrs, outputs, isList = false}: NodeParts) {
    this.kernel = kernel;
    this.inputs = inputs;
    this.isList = isList;
    this.attrs = attrs;
    this.outputs = outputs;
  }

  /** The only output. */
  get output(): Value {
    return this.outputs[0];
  }
}

export interface NodeParts {
  readonly kernel: string;
  readonly inputs: NodeInputs;
  readonly attrs: NamedAttrMap;
  readonly outputs: readonly Value[];
  readonly isList?: boolean;
}

/** The calls of a run, each after those whose outputs it takes. */
export class Graph {
  readonly inputs: readonly Value[];
  private readonly list: Node[];
  private readonly members: Set<Node>;
  private results: Value[];

  /** Nodes that no output needs are left out. */
  constructor(inputs: readonly Value[], nodes: readonly Node[], outputs: readonly Value[]) {
    this.inputs = inputs;
    this.results = [...outputs];
    const needed = new Set(outputs);
    this.list = [...nodes]
      .reverse()
      .filter((node) => {
        const isNeeded = node.outputs.some((value) => needed.has(value));
        if (isNeeded) for (const value of Object.values(node.inputs)) needed.add(value);
        return isNeeded;
      })
      .reverse();
    this.members = new Set(this.list);
    for (const node of this.list) link(node);
  }

  get nodes(): readonly Node[] {
    return this.list;
  }

  has(node: Node): boolean {
    return this.members.has(node);
  }

  get outputs(): readonly Value[] {
    return this.results;
  }

  /** The one node that takes a value, if there is just one, and the value is no output of the model. */
  onlyConsumer(value: Value): Node | undefined {
    if (value.consumers.size !== 1 || this.results.includes(value)) return undefined;
    const [node] = value.consumers;
    return node;
  }

  /**
   * Puts a node in the place of the last one of those that it stands for; it makes the outputs of that one. The others
   * go where nobody else takes what they make.
   */
  replace(last: Node, by: Omit<NodeParts, 'outputs'>): Node {
    const node = new Node({...by, outputs: last.outputs});
    this.exchange(last, node);
    this.sweep(last);
    return node;
  }

  /** Puts a node before another one. */
  insert(next: Node, parts: NodeParts): Node {
    const node = new Node(parts);
    this.list.splice(this.list.indexOf(next), 0, node);
    this.members.add(node);
    link(node);
    return node;
  }

  /** Lets everybody who takes a value take another one, and drops the node that made it. */
  bypass(node: Node, by: Value): void {
    const {output} = node;
    for (const consumer of [...output.consumers]) {
      const inputs = Object.fromEntries(
        Object.entries(consumer.inputs).map(([name, value]) => [name, value === output ? by : value]),
      );
      const {kernel, attrs, isList} = consumer;
      this.exchange(consumer, new Node({kernel, inputs, attrs, isList, outputs: consumer.outputs}));
    }
    this.results = this.results.map((value) => (value === output ? by : value));
    this.drop(node);
  }

  /** Drops a node that nobody needs, and those that it alone needed. */
  drop(node: Node): void {
    this.list.splice(this.list.indexOf(node), 1);
    this.members.delete(node);
    unlink(node);
    this.sweep(node);
  }

  private exchange(node: Node, by: Node): void {
    this.list[this.list.indexOf(node)] = by;
    this.members.delete(node);
    this.members.add(by);
    unlink(node);
    link(by);
  }

  private sweep({inputs}: Node): void {
    for (const {producer} of Object.values(inputs)) {
      if (producer === undefined || !this.members.has(producer)) continue;
      const needed = producer.outputs.some((one) => one.consumers.size > 0 || this.results.includes(one));
      if (!needed) this.drop(producer);
    }
  }
}

function link(node: Node): void {
  for (const value of Object.values(node.inputs)) value.consumers.add(node);
  for (const value of node.outputs) value.producer = node;
}

function unlink(node: Node): void {
  for (const value of Object.values(node.inputs)) value.consumers.delete(node);
}
