// Writes a network in all forms into a folder. Its arguments are the network's name and the folder. Nothing but seeds
// goes into it; a process of its own, as what it needs is no engine's memory.
import {mkdirSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-wasm';
import {FILES, type NetworkFacts, writeModel} from './files.ts';
import {buildNetwork} from './networks.ts';
import {type Operations, readOperations} from './operations.ts';
import {toGraph} from './toGraph.ts';
import {toOnnx} from './toOnnx.ts';
import {toSavedModel} from './toSavedModel.ts';
import {toTflite} from './toTflite.ts';

const [, , name, folder] = process.argv;
const at = (file: string) => path.join(folder, file);

await tf.setBackend('wasm');
mkdirSync(at(FILES.savedModel), {recursive: true});
const {network, x} = buildNetwork(name);
writeFileSync(at(FILES.input), x.dataSync());
writeFileSync(at(FILES.output), (network.predict(x) as tf.Tensor).dataSync());
await network.save({
  save: async (artifacts) => {
    writeModel(at(FILES.layers), artifacts);
    return {modelArtifactsInfo: {dateSaved: new Date(), modelTopologyType: 'JSON'}};
  },
});
const operations = readOperations(network);
writeModel(at(FILES.graph), (await toGraph(operations, true).build().load?.()) as tf.io.ModelArtifacts);
writeFileSync(at(FILES.onnx), toOnnx(operations));
writeFileSync(at(FILES.tflite), toTflite(operations));
writeFileSync(path.join(at(FILES.savedModel), 'saved_model.pb'), await toSavedModel(operations));
const facts: NetworkFacts = {
  inputShape: x.shape,
  parameters: network.countParams(),
  gigaflops: gigaflopsOf(operations),
};
writeFileSync(at(FILES.facts), JSON.stringify(facts));

/** Each weight meets each pixel of the output; of a transposed convolution, of the input. */
function gigaflopsOf({operations}: Operations): number {
  return operations.reduce((sum, operation) => {
    if (!('filter' in operation)) return sum;
    const {shape} = operation.kind === 'transposed' ? operation.inputs[0] : operation.output;
    const pixels = shape.length === 4 ? shape[1] * shape[2] : 1;
    return sum + 2e-9 * pixels * operation.filter.values.length;
  }, 0);
}
