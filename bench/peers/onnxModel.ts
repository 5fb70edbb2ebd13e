// Writes ONNX models.
import onnxProto from 'onnx-proto';

const {onnx} = onnxProto;
const {FLOAT, INT64} = onnx.TensorProto.DataType;
const {INT, INTS, STRING} = onnx.AttributeProto.AttributeType;

type Attribute = number | readonly number[] | string;

interface Node {
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

export class OnnxModel {
  private readonly node: object[] = [];
  private readonly initializer: object[] = [];

  /** Returns the name of what it computes. */
  add(opType: string, {inputs, output, attributes = {}}: Node): string {
    const attribute = Object.entries(attributes).map(([name, value]) => {
      if (typeof value === 'number') return {name, type: INT, i: value};
      if (typeof value === 'string') return {name, type: STRING, s: Buffer.from(value)};
      return {name, type: INTS, ints: [...value]};
    });
    this.node.push({opType, name: output, input: [...inputs], output: [output], attribute});
    return output;
  }

  /** Returns the constant's name. */
  constant(name: string, dims: readonly number[], values: Float32Array | BigInt64Array): string {
    this.initializer.push({
      name,
      dataType: values instanceof Float32Array ? FLOAT : INT64,
      dims: [...dims],
      rawData: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    });
    return name;
  }

  build(input: OnnxValue, output: OnnxValue): Uint8Array {
    const value = ({name, shape}: OnnxValue) => ({
      name,
      type: {tensorType: {elemType: FLOAT, shape: {dim: shape.map((size) => ({dimValue: size}))}}},
    });
    return onnx.ModelProto.encode({
      irVersion: 8,
      opsetImport: [{domain: '', version: 13}],
      graph: {
        name: 'network',
        node: this.node,
        initializer: this.initializer,
        input: [value(input)],
        output: [value(output)],
      },
    }).finish();
  }
}

/** What comes in or goes out. */
export interface OnnxValue {
  readonly name: string;
  readonly shape: readonly number[];
}
