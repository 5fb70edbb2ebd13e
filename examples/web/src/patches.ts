// A picture in overlapping patches: memory is bounded, and progress can be shown.

/** Where a patch lies along one side of the picture, in pixels. */
interface Span {
  readonly start: number;
  /** From here to `keepEnd` the network's output is kept. */
  readonly keepStart: number;
  readonly keepEnd: number;
}

export interface Patch {
  readonly x: Span;
  readonly y: Span;
}

/** Side of a patch. */
export const PATCH = 128;

/**
 * What is dropped along a patch's inner borders. An output pixel of ESRGAN slim depends on input pixels at most 10
 * away (seven 3×3 convolutions, a 5×5 one, and a 3×3 one on the doubled picture, rounded up), so that patches give
 * the same pixels as the whole picture.
 */
export const MARGIN = 10;

/** All of one size, `patchSide(width)` × `patchSide(height)`; what they keep covers the picture once. */
export function patchesOf(width: number, height: number): Patch[] {
  const columns = spans(width);
  return spans(height).flatMap((y) => columns.map((x) => ({x, y})));
}

export const patchSide = (length: number): number => Math.min(PATCH, length);

function spans(length: number): Span[] {
  if (length <= PATCH) return [{start: 0, keepStart: 0, keepEnd: length}];
  const result: Span[] = [];
  let keepStart = 0;
  while (keepStart < length) {
    const start = Math.min(Math.max(0, keepStart - MARGIN), length - PATCH);
    const keepEnd = start + PATCH === length ? length : start + PATCH - MARGIN;
    result.push({start, keepStart, keepEnd});
    keepStart = keepEnd;
  }
  return result;
}
