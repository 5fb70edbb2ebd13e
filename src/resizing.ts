// How images are brought to another size.

/** Where an output row or column comes from: between two of the input, `fraction` of the way from the first. */
export interface Sample {
  readonly low: number;
  readonly high: number;
  readonly fraction: number;
}

export interface Resizing {
  /** Between neighbours; otherwise the nearest one. */
  readonly interpolates: boolean;
  readonly shape: readonly number[];
  readonly outHeight: number;
  readonly outWidth: number;
  readonly alignment: Alignment;
}

/** How the places of pixels follow from sizes. */
export interface Alignment {
  /** The first and the last pixels lie on each other. */
  readonly alignCorners: boolean;
  /** A pixel's place is its centre. */
  readonly halfPixelCenters: boolean;
}

/** Where each output row, or column, comes from. */
export function samplesOf(resizing: Resizing, axis: 'rows' | 'columns'): Sample[] {
  const {interpolates, shape, outHeight, outWidth, alignment} = resizing;
  const [inSize, outSize] = axis === 'rows' ? [shape[1], outHeight] : [shape[2], outWidth];
  return (interpolates ? samplesBetween : nearestSamples)(inSize, outSize, alignment);
}

/** Input pixels for each of the output. */
function ratioOf(inSize: number, outSize: number, {alignCorners}: Alignment): number {
  return alignCorners && outSize > 1 ? (inSize - 1) / (outSize - 1) : inSize / outSize;
}

// Both compute as tfjs's cpu backend does, to the last bit.

function samplesBetween(inSize: number, outSize: number, alignment: Alignment): Sample[] {
  const ratio = ratioOf(inSize, outSize, alignment);
  return Array.from({length: outSize}, (_, i) => {
    const place = alignment.halfPixelCenters ? ratio * (i + 0.5) - 0.5 : ratio * i;
    const low = Math.max(0, Math.floor(place));
    return {low, high: Math.min(inSize - 1, Math.ceil(place)), fraction: place - low};
  });
}

function nearestSamples(inSize: number, outSize: number, alignment: Alignment): Sample[] {
  const ratio = ratioOf(inSize, outSize, alignment);
  const {alignCorners, halfPixelCenters} = alignment;
  return Array.from({length: outSize}, (_, i) => {
    const place = halfPixelCenters ? ratio * (i + 0.5) : ratio * i;
    const low = Math.min(inSize - 1, alignCorners ? Math.round(place) : Math.floor(place));
    return {low, high: low, fraction: 0};
  });
}
