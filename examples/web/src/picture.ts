// From a file to pixels.

const MOST_FILE_BYTES = 40 * 2 ** 20;
const MOST_PIXELS = 60e6;
const LEAST_SIDE = 32;
const MOST_ASPECT = 4;

/**
 * Decodes a picture.
 *
 * @throws Error in words for the page's reader, if it is none, or too large or too small.
 */
export async function readPicture(file: Blob, name: string): Promise<ImageBitmap> {
  if (!file.type.startsWith('image/')) {
    throw new Error(`“${name}” is not an image. Choose a JPEG, PNG, WebP, GIF or AVIF file.`);
  }
  if (file.size > MOST_FILE_BYTES) {
    throw new Error(
      `“${name}” is too large: ${(file.size / 2 ** 20).toFixed(0)} MiB. A file may have ${MOST_FILE_BYTES / 2 ** 20} MiB.`,
    );
  }
  let picture: ImageBitmap;
  try {
    picture = await createImageBitmap(file);
  } catch {
    throw new Error(`“${name}” could not be read as an image. It may be damaged, or of a kind unknown here.`);
  }
  const {width, height} = picture;
  if (width * height > MOST_PIXELS) {
    picture.close();
    throw new Error(
      `“${name}” is too large: ${width} × ${height} pixels. A picture may have ${MOST_PIXELS / 1e6} million.`,
    );
  }
  if (Math.min(width, height) < LEAST_SIDE) {
    picture.close();
    throw new Error(
      `“${name}” is too small: ${width} × ${height} pixels. Each side must have at least ${LEAST_SIDE}.`,
    );
  }
  if (Math.max(width, height) > MOST_ASPECT * Math.min(width, height)) {
    picture.close();
    throw new Error(
      `“${name}” is too narrow: ${width} × ${height} pixels. One side may be at most ${MOST_ASPECT} times the other.`,
    );
  }
  return picture;
}

/** A canvas that is never shown. */
export function drawOn(
  width: number,
  height: number,
  draw: (context: OffscreenCanvasRenderingContext2D) => void,
): ImageData {
  const context = context2d(new OffscreenCanvas(width, height));
  draw(context);
  return context.getImageData(0, 0, width, height);
}

/** The size with neither side longer than `longest`. */
export function fitWithin({width, height}: ImageBitmap, longest: number): {width: number; height: number} {
  const scale = Math.min(1, longest / Math.max(width, height));
  return {width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale))};
}

export function context2d(canvas: HTMLCanvasElement): CanvasRenderingContext2D;
export function context2d(canvas: OffscreenCanvas): OffscreenCanvasRenderingContext2D;
export function context2d(canvas: HTMLCanvasElement | OffscreenCanvas) {
  const context = canvas.getContext('2d') as
    | CanvasRenderingContext2D
    | OffscreenCanvasRenderingContext2D
    | null;
  if (context === null) throw new Error('This browser gives the page no canvas to draw on.');
  context.imageSmoothingQuality = 'high';
  return context;
}
