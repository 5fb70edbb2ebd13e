// Networks as graph models, with seeded weights: what surrounds their convolutions is as tfjs's converter writes it.
import {loadGraphModel} from '@tensorflow/tfjs-converter';
import * as tf from '@tensorflow/tfjs-core';
import {GraphBuilder} from './graphBuilder.ts';
import type {Value} from './graphWriter.ts';
import {uniform} from './random.ts';

/** Tan and Le, 2019, as Keras has it: scaling before, its classifier behind. SiLU is a sigmoid and a product. */
function efficientNetB0(graph: GraphBuilder, input: Value): Value {
  const perChannel = (values: number[]) => graph.constant([1, 1, 1, 3], values);
  let x = graph.binary('Mul', input, graph.constant([], [1 / 255]));
  x = graph.binary('Sub', x, perChannel([0.485, 0.456, 0.406]));
  x = graph.binary('Mul', x, perChannel([1 / 0.229, 1 / 0.224, 1 / 0.225]));
  x = graph.silu(graph.conv(graph.pad(x, 0, 1), 32, {size: 3, strides: 2, valid: true}));
  for (const [expansion, filters, count, size, strides] of [
    [1, 16, 1, 3, 1],
    [6, 24, 2, 3, 2],
    [6, 40, 2, 5, 2],
    [6, 80, 3, 3, 2],
    [6, 112, 3, 5, 1],
    [6, 192, 4, 5, 2],
    [6, 320, 1, 3, 1],
  ]) {
    for (let i = 0; i < count; ++i) {
      x = invertedResidual(graph, x, {expansion, filters, size, strides: i === 0 ? strides : 1});
    }
  }
  x = graph.mean(graph.silu(graph.conv(x, 1280)));
  return graph.unary('Softmax', graph.dense(x, 1000));
}

interface Block {
  readonly expansion: number;
  readonly filters: number;
  readonly size: number;
  readonly strides: number;
}

function invertedResidual(graph: GraphBuilder, x: Value, {expansion, filters, size, strides}: Block): Value {
  const [, height, , channels] = x.shape;
  let wide = expansion === 1 ? x : graph.silu(graph.conv(x, expansion * channels));
  if (strides === 2) {
    // Keras pads so that an even side gets one row less before than behind.
    const after = size >> 1;
    wide = graph.pad(wide, after - (1 - (height % 2)), after);
  }
  wide = graph.silu(graph.depthwise(wide, {size, strides, valid: strides === 2}));
  const squeezed = graph.reshape(graph.mean(wide), [1, 1, 1, expansion * channels]);
  const narrow = graph.silu(graph.conv(squeezed, Math.max(1, channels >> 2)));
  const excited = graph.unary('Sigmoid', graph.conv(narrow, expansion * channels));
  const out = graph.conv(graph.binary('Mul', wide, excited), filters);
  return strides === 1 && channels === filters ? graph.binary('AddV2', out, x) : out;
}

const CLASSES = 80;
/** The bins of the distribution that each side of a box has. */
const BINS = 16;

/** Like YOLOv8n (Jocher et al., 2023), boxes decoded. */
function yoloV8n(graph: GraphBuilder, input: Value): Value {
  const conv = (x: Value, filters: number, size = 1, strides = 1) =>
    graph.silu(graph.conv(x, filters, {size, strides}));
  const c2f = (x: Value, filters: number, count: number, shortcut: boolean) => {
    const half = filters / 2;
    const parts = graph.split(conv(x, filters), [half, half], 3);
    for (let i = 0; i < count; ++i) {
      const last = parts[parts.length - 1];
      const out = conv(conv(last, half, 3), half, 3);
      parts.push(shortcut ? graph.binary('AddV2', last, out) : out);
    }
    return conv(graph.concat(parts, 3), filters);
  };
  const levels: Value[] = [];
  let x = conv(input, 16, 3, 2);
  for (const [filters, count] of [
    [32, 1],
    [64, 2],
    [128, 2],
    [256, 1],
  ]) {
    x = c2f(conv(x, filters, 3, 2), filters, count, true);
    levels.push(x);
  }
  const pooled = [conv(x, 128)];
  for (let i = 0; i < 3; ++i) pooled.push(graph.maxPool(pooled[i], {size: 5}));
  const coarse = conv(graph.concat(pooled, 3), 256);
  const [, fine, middle] = levels;
  const up = c2f(graph.concat([graph.upsample(coarse), middle], 3), 128, 1, false);
  const p3 = c2f(graph.concat([graph.upsample(up), fine], 3), 64, 1, false);
  const p4 = c2f(graph.concat([conv(p3, 64, 3, 2), up], 3), 128, 1, false);
  const p5 = c2f(graph.concat([conv(p4, 128, 3, 2), coarse], 3), 256, 1, false);
  return detect(graph, [p3, p4, p5], input.shape[1]);
}

/** A list of boxes and of their classes' probabilities: [1, 4 + 80, boxes]. */
function detect(graph: GraphBuilder, levels: readonly Value[], side: number): Value {
  const branch = (x: Value, inner: number, out: number) => {
    const conv = (value: Value) => graph.silu(graph.conv(value, inner, {size: 3}));
    return graph.conv(conv(conv(x)), out);
  };
  const channels = 4 * BINS + CLASSES;
  const rows = levels.map((x) => {
    const both = graph.concat([branch(x, 64, 4 * BINS), branch(x, CLASSES, CLASSES)], 3);
    return graph.reshape(both, [1, x.shape[1] * x.shape[2], channels]);
  });
  const all = graph.transpose(graph.concat(rows, 1), [0, 2, 1]);
  const boxes = all.shape[2];
  // A side is the mean of a distribution over bins.
  const [distances, classes] = graph.split(all, [4 * BINS, CLASSES], 1);
  const bins = graph.transpose(graph.reshape(distances, [1, 4, BINS, boxes]), [0, 3, 1, 2]);
  const expected = graph.weightedSum(graph.unary('Softmax', bins), upTo(BINS));
  const sides = graph.transpose(graph.reshape(expected, [1, boxes, 4]), [0, 2, 1]);
  const [before, behind] = graph.split(sides, [2, 2], 1);
  const anchors = graph.constant([1, 2, boxes], uniform(2 * boxes, 1, side / 16));
  const box = graph.concat([graph.binary('Sub', anchors, before), graph.binary('AddV2', behind, anchors)], 1);
  const strides = graph.constant(
    [1, 1, boxes],
    Float32Array.from({length: boxes}, () => 8),
  );
  return graph.concat([graph.binary('Mul', box, strides), graph.unary('Sigmoid', classes)], 1);
}

const upTo = (count: number) => Float32Array.from({length: count}, (_, i) => i);

/** Name, side of the input, its range, and how it is built. */
export const GRAPH_NETWORKS = {
  'EfficientNetB0 224': [224, 255, efficientNetB0],
  'YOLOv8n 640': [640, 1, yoloV8n],
} as const;

/** What keeps the size of values that pass SiLU. */
const SILU_GAIN = 2;

export function buildGraphNetwork(name: keyof typeof GRAPH_NETWORKS) {
  const [side, range, build] = GRAPH_NETWORKS[name];
  const graph = new GraphBuilder(SILU_GAIN);
  build(graph, graph.input([1, side, side, 3]));
  return {
    network: loadGraphModel(graph.build()),
    x: tf.randomUniform([1, side, side, 3], 0, range, 'float32', 7),
  };
}
