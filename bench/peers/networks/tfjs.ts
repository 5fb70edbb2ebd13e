// tfjs: on wasm, stock or with im2win, or on native TensorFlow.
import path from 'node:path';
import {loadGraphModel} from '@tensorflow/tfjs-converter';
import * as tf from '@tensorflow/tfjs-core';
import {type LayersModel, loadLayersModel} from '@tensorflow/tfjs-layers';
import {loadTfjsNode} from '../../native/tfjsNode.ts';
import type {Contender} from './contenders.ts';
import type {Engine, Model} from './engine.ts';
import {FILES, modelFrom, readFacts, readFloats} from './files.ts';
import {SIGNATURE, TAG} from './savedModel.ts';

export async function startTfjs({engine, form, threads, im2win, optimized}: Contender): Promise<Engine> {
  // Two copies of tfjs would warn of each kernel that both bring.
  tf.enableProdMode();
  const node = engine === 'tfjs-node' ? loadTfjsNode() : undefined;
  if (node === undefined) await import('@tensorflow/tfjs-backend-wasm');
  // A process of stock's has nothing of im2win in it.
  if (im2win) await (await import('../../im2win.ts')).registerIm2win({numThreads: threads});
  await tf.setBackend(node === undefined ? 'wasm' : 'tensorflow');
  return {
    version: `tfjs ${tf.version_core}${node === undefined ? '' : `, TensorFlow ${node.tensorFlow}`}`,
    async load(folder): Promise<Model> {
      const x = tf.tensor(readFloats(path.join(folder, FILES.input)), [...readFacts(folder).inputShape]);
      const model =
        form === 'savedModel'
          ? await node?.loadSavedModel(path.join(folder, FILES.savedModel), [TAG], SIGNATURE)
          : await loadModel(path.join(folder, FILES[form as 'graph' | 'layers']), form);
      if (optimized) await (await import('../../im2win.ts')).optimizeModel(model as LayersModel);
      return {
        run() {
          const y = model?.predict(x) as tf.Tensor;
          const values = y.dataSync<'float32'>();
          y.dispose();
          return values;
        },
      };
    },
  };
}

const loadModel = (folder: string, form: Contender['form']) =>
  form === 'graph' ? loadGraphModel(modelFrom(folder)) : loadLayersModel(modelFrom(folder));

/** Milliseconds of each kernel in a run. */
export async function profileKernels({run}: Model): Promise<Record<string, number>> {
  const {kernels} = await tf.profile(async () => {
    await run();
    return tf.scalar(0);
  });
  const sums: Record<string, number> = {};
  for (const {name, kernelTimeMs} of kernels) {
    // tfjs lists an op beside the kernels that it ran.
    if (name.endsWith('__op')) continue;
    sums[name] = (sums[name] ?? 0) + ((await kernelTimeMs) as number);
  }
  return sums;
}
