// What the demo does with a picture: the networks' inputs, and how their outputs are drawn.
import {PATCH, patchesOf, patchSide} from './patches.ts';
import {context2d, drawOn, fitWithin} from './picture.ts';
import {CONTENDERS, type Each, type NetworkName, type Run} from './types.ts';

export interface Task {
  /** The network's inputs, in turn: two at least. */
  readonly inputs: readonly ImageData[];
  /** What one input is called, and the whole of them. */
  readonly unit: {readonly one: string; readonly all: string};
  /** The largest difference that rounding explains, of the largest output. */
  readonly bound: number;
  /** What the picture and its two versions are, for who cannot see them. */
  readonly description: string;
  /** Draws the outputs for one input. */
  draw(index: number, runs: Each<Run>): void;
  /** What came out, in a sentence. */
  outcome(): string;
}

export type Canvases = Each<HTMLCanvasElement> & {readonly original: HTMLCanvasElement};

/** Sets all canvases to the picture, and says what is to be done with it. */
export const TASKS: Record<NetworkName, (picture: ImageBitmap, canvases: Canvases) => Task> = {
  superResolution,
  pose,
};

/** A side beyond this is scaled down. */
export const LONGEST_SIDE: Record<NetworkName, number> = {superResolution: 512, pose: 1024};

const SCALE = 2;
/** Of a picture that is one patch. */
const SMALL_RUNS = 5;

function superResolution(picture: ImageBitmap, canvases: Canvases): Task {
  const {width, height} = fitWithin(picture, LONGEST_SIDE.superResolution);
  const pixels = drawOn(width, height, (context) => drawWhole(context, picture, width, height));
  setPicture(canvases, picture, SCALE * width, SCALE * height);
  const patches = patchesOf(width, height);
  const inputs = patches.map(({x, y}) => cut(pixels, x.start, y.start));
  // One run alone would time how code is compiled.
  const single = patches.length === 1;
  return {
    inputs: single ? Array<ImageData>(SMALL_RUNS).fill(inputs[0]) : inputs,
    unit: {
      one: single ? 'run' : 'patch',
      all: single ? `all ${SMALL_RUNS} runs` : `all ${patches.length} patches of ${PATCH} × ${PATCH}`,
    },
    bound: 7e-6,
    description: `The photograph, doubled from ${width} × ${height} to ${SCALE * width} × ${SCALE * height} pixels.`,
    draw(index, runs) {
      const {x, y} = patches[index % patches.length];
      for (const name of CONTENDERS) {
        context2d(canvases[name]).putImageData(
          toImage(runs[name].values, SCALE * patchSide(width), SCALE * patchSide(height)),
          SCALE * x.start,
          SCALE * y.start,
          SCALE * (x.keepStart - x.start),
          SCALE * (y.keepStart - y.start),
          SCALE * (x.keepEnd - x.keepStart),
          SCALE * (y.keepEnd - y.keepStart),
        );
      }
    },
    outcome: () => `The photograph was doubled to ${SCALE * width} × ${SCALE * height} pixels.`,
  };
}

function cut(pixels: ImageData, x: number, y: number): ImageData {
  const width = patchSide(pixels.width);
  const height = patchSide(pixels.height);
  const patch = new ImageData(width, height);
  for (let row = 0; row < height; ++row) {
    const start = 4 * ((y + row) * pixels.width + x);
    patch.data.set(pixels.data.subarray(start, start + 4 * width), 4 * row * width);
  }
  return patch;
}

function toImage(values: Float32Array, width: number, height: number): ImageData {
  const image = new ImageData(width, height);
  for (let pixel = 0; pixel < width * height; ++pixel) {
    // The array rounds and clamps.
    for (let channel = 0; channel < 3; ++channel)
      image.data[4 * pixel + channel] = values[3 * pixel + channel];
    image.data[4 * pixel + 3] = 255;
  }
  return image;
}

const MOVENET_SIDE = 192;
const POSE_RUNS = 11;
const LEAST_SCORE = 0.3;

/** MoveNet's 17 points in its order, of which these pairs are bones. */
const POINTS = 17;
const BONES = [
  [0, 1],
  [0, 2],
  [1, 3],
  [2, 4],
  [5, 6],
  [5, 7],
  [7, 9],
  [6, 8],
  [8, 10],
  [5, 11],
  [6, 12],
  [11, 12],
  [11, 13],
  [13, 15],
  [12, 14],
  [14, 16],
];

function pose(picture: ImageBitmap, canvases: Canvases): Task {
  const {width, height} = fitWithin(picture, LONGEST_SIDE.pose);
  setPicture(canvases, picture, width, height);
  // The whole picture in the middle of the square that the network takes.
  const scale = MOVENET_SIDE / Math.max(width, height);
  const left = (MOVENET_SIDE - width * scale) / 2;
  const top = (MOVENET_SIDE - height * scale) / 2;
  const input = drawOn(MOVENET_SIDE, MOVENET_SIDE, (context) => {
    drawWhole(context, picture, width * scale, height * scale, left, top);
  });
  let found = 0;
  return {
    inputs: Array<ImageData>(POSE_RUNS).fill(input),
    unit: {one: 'run', all: `all ${POSE_RUNS} runs`},
    // The network ends in the places of largest values, and sums of them.
    bound: 1e-3,
    description: 'The photograph, with the points and bones that the network finds of one person.',
    draw(_, runs) {
      for (const name of CONTENDERS) {
        setPicture({[name]: canvases[name]}, picture, width, height);
        found = drawSkeleton(canvases[name], runs[name].values, (y, x) => [
          (x * MOVENET_SIDE - left) / scale,
          (y * MOVENET_SIDE - top) / scale,
        ]);
      }
    },
    outcome: () =>
      found === 0
        ? 'The network found no person in this picture.'
        : `The network found a person, and ${found} of ${POINTS} points of the body.`,
  };
}

/**
 * @param values y, x and score of each point.
 * @returns How many points have a score worth drawing.
 */
function drawSkeleton(
  canvas: HTMLCanvasElement,
  values: Float32Array,
  place: (y: number, x: number) => [number, number],
): number {
  const context = context2d(canvas);
  const points = Array.from({length: POINTS}, (_, i) => ({
    at: place(values[3 * i], values[3 * i + 1]),
    seen: values[3 * i + 2] >= LEAST_SCORE,
  }));
  const thickness = Math.max(2, Math.max(canvas.width, canvas.height) / 160);
  context.lineCap = 'round';
  // Dark under light, to be seen on any picture.
  for (const [colour, extra] of [
    ['#10242b', thickness],
    ['#4be3c4', 0],
  ] as const) {
    context.strokeStyle = colour;
    context.fillStyle = colour;
    context.lineWidth = thickness + extra;
    for (const [from, to] of BONES) {
      if (!points[from].seen || !points[to].seen) continue;
      context.beginPath();
      context.moveTo(...points[from].at);
      context.lineTo(...points[to].at);
      context.stroke();
    }
    for (const {at, seen} of points) {
      if (!seen) continue;
      context.beginPath();
      context.arc(...at, 1.4 * thickness + extra / 2, 0, 2 * Math.PI);
      context.fill();
    }
  }
  return points.filter(({seen}) => seen).length;
}

function setPicture(canvases: Partial<Canvases>, picture: ImageBitmap, width: number, height: number): void {
  for (const canvas of Object.values(canvases)) {
    // Keeps the page's layout, where the size stays.
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    drawWhole(context2d(canvas), picture, width, height);
  }
}

function drawWhole(
  context: CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D,
  picture: ImageBitmap,
  width: number,
  height: number,
  left = 0,
  top = 0,
): void {
  // What is transparent is white.
  context.fillStyle = 'white';
  context.fillRect(left, top, width, height);
  context.drawImage(picture, left, top, width, height);
}
