// A network as TensorFlow's SavedModel, for tfjs-node: weights are constants of its graph. TensorFlow fuses them when it
// runs it.
import protobuf from 'protobufjs';
import type {Operations} from './operations.ts';
import {SIGNATURE, TAG} from './savedModel.ts';
import {toGraph} from './toGraph.ts';

// Of tensorflow/core/protobuf and tensorflow/core/framework, what is used.
const SCHEMA = `
  syntax = "proto3";
  message SavedModel {
    int64 saved_model_schema_version = 1;
    repeated MetaGraphDef meta_graphs = 2;
  }
  message MetaGraphDef {
    MetaInfoDef meta_info_def = 1;
    GraphDef graph_def = 2;
    map<string, SignatureDef> signature_def = 5;
  }
  message MetaInfoDef {
    repeated string tags = 4;
    string tensorflow_version = 5;
  }
  message SignatureDef {
    map<string, TensorInfo> inputs = 1;
    map<string, TensorInfo> outputs = 2;
    string method_name = 3;
  }
  message TensorInfo {
    string name = 1;
    DataType dtype = 2;
    TensorShapeProto tensor_shape = 3;
  }
  message GraphDef {
    repeated NodeDef node = 1;
    VersionDef versions = 4;
  }
  message VersionDef { int32 producer = 1; }
  message NodeDef {
    string name = 1;
    string op = 2;
    repeated string input = 3;
    map<string, AttrValue> attr = 5;
  }
  message AttrValue {
    oneof value {
      ListValue list = 1;
      bytes s = 2;
      int64 i = 3;
      float f = 4;
      bool b = 5;
      DataType type = 6;
      TensorShapeProto shape = 7;
      TensorProto tensor = 8;
    }
    message ListValue {
      repeated bytes s = 2;
      repeated int64 i = 3;
    }
  }
  enum DataType {
    DT_INVALID = 0;
    DT_FLOAT = 1;
    DT_INT32 = 3;
  }
  message TensorShapeProto {
    repeated Dim dim = 2;
    message Dim { int64 size = 1; }
  }
  message TensorProto {
    DataType dtype = 1;
    TensorShapeProto tensor_shape = 2;
    bytes tensor_content = 4;
  }
`;

interface GraphNode {
  readonly name: string;
  readonly op: string;
  readonly attr: Readonly<Record<string, {readonly tensor?: object}>>;
}

export async function toSavedModel(network: Operations): Promise<Uint8Array> {
  const artifacts = await toGraph(network, false).build().load?.();
  const {modelTopology, weightSpecs = [], weightData = []} = artifacts ?? {};
  const buffers = weightData as ArrayBuffer[];
  const contents = new Map(weightSpecs.map(({name}, i) => [name, new Uint8Array(buffers[i])]));
  const {node} = modelTopology as {node: GraphNode[]};
  const tensor = (name: string, shape: readonly number[]) => ({
    name: `${name}:0`,
    dtype: 'DT_FLOAT',
    tensorShape: {dim: shape.map((size) => ({size}))},
  });
  const SavedModel = protobuf.parse(SCHEMA).root.lookupType('SavedModel');
  return SavedModel.encode(
    SavedModel.fromObject({
      savedModelSchemaVersion: 1,
      metaGraphs: [
        {
          metaInfoDef: {tags: [TAG], tensorflowVersion: '2.10.0'},
          graphDef: {
            node: node.map((one) => withContent(one, contents.get(one.name))),
            // That of TensorFlow 2.10.
            versions: {producer: 1205},
          },
          signatureDef: {
            [SIGNATURE]: {
              inputs: {x: tensor(node[0].name, network.input.shape)},
              outputs: {y: tensor(node[node.length - 1].name, network.output.shape)},
              methodName: 'tensorflow/serving/predict',
            },
          },
        },
      ],
    }),
  ).finish();
}

/** Of a constant, its values as well. */
function withContent(node: GraphNode, content?: Uint8Array): object {
  if (content === undefined) return node;
  const {tensor} = node.attr.value;
  return {...node, attr: {...node.attr, value: {tensor: {...tensor, tensorContent: content}}}};
}
