// A network on disk, in all forms.
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import type * as tf from '@tensorflow/tfjs-core';

/** What there is to know of a network beside its models. */
export interface NetworkFacts {
  readonly inputShape: readonly number[];
  readonly parameters: number;
  /** Of convolutions and products; a multiplication and an addition are two. */
  readonly gigaflops: number;
}

export const FILES = {
  facts: 'network.json',
  /** NHWC. */
  input: 'x.bin',
  /** What stock computes from the layers model. */
  output: 'y.bin',
  graph: 'graph',
  layers: 'layers',
  onnx: 'model.onnx',
  tflite: 'model.tflite',
  savedModel: 'saved',
} as const;

/** A model of tfjs's, as its converter leaves it: a folder with two files. */
export function writeModel(folder: string, artifacts: tf.io.ModelArtifacts): void {
  const {weightData, weightSpecs, ...model} = artifacts;
  const buffers = Array.isArray(weightData) ? weightData : [weightData as ArrayBuffer];
  mkdirSync(folder, {recursive: true});
  writeFileSync(
    path.join(folder, 'weights.bin'),
    Buffer.concat(buffers.map((buffer) => new Uint8Array(buffer))),
  );
  const weightsManifest = [{paths: ['weights.bin'], weights: weightSpecs}];
  writeFileSync(path.join(folder, 'model.json'), JSON.stringify({...model, weightsManifest}));
}

export function modelFrom(folder: string): tf.io.IOHandler {
  return {
    load: async () => {
      const {weightsManifest, ...model} = JSON.parse(readFileSync(path.join(folder, 'model.json'), 'utf8'));
      return {
        ...model,
        weightSpecs: weightsManifest[0].weights,
        weightData: readBytes(path.join(folder, 'weights.bin')).buffer,
      };
    },
  };
}

/** In a buffer of its own. */
function readBytes(file: string): Uint8Array<ArrayBuffer> {
  const bytes = readFileSync(file);
  return bytes.byteLength === bytes.buffer.byteLength
    ? (bytes as Uint8Array<ArrayBuffer>)
    : new Uint8Array(bytes);
}

export const readFloats = (file: string): Float32Array => new Float32Array(readBytes(file).buffer);

export const readFacts = (folder: string): NetworkFacts =>
  JSON.parse(readFileSync(path.join(folder, FILES.facts), 'utf8'));
