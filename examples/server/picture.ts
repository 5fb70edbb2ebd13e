// JPEG and PNG files to pixels, and pixels to PNG. Files come from strangers: what a header promises is checked before
// anything is decoded.
import jpeg from 'jpeg-js';
import {PNG} from 'pngjs';
import {Refusal} from './refusal.ts';

interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Picture extends Size {
  /** Red, green and blue of each pixel, row by row. */
  readonly rgb: Uint8Array | Uint8ClampedArray;
}

/** @throws Refusal if it is no picture, is damaged, or has more pixels than allowed. */
export function decode(file: Uint8Array, mostPixels: number): Picture {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const png = bytes.subarray(0, 8).equals(PNG_SIGNATURE);
  if (!png && !(bytes[0] === 0xff && bytes[1] === 0xd8)) {
    throw new Refusal(415, 'The file is neither a PNG nor a JPEG.');
  }
  const size = png ? pngSize(bytes) : jpegSize(bytes);
  if (size === undefined) throw new Refusal(422, 'The file is damaged: its header cannot be read.');
  const {width, height} = size;
  if (width * height === 0) throw new Refusal(422, `The picture is empty: ${width}×${height} pixels.`);
  if (width * height > mostPixels) {
    throw new Refusal(
      422,
      `The picture has ${width}×${height} pixels; at most ${mostPixels} are allowed in all.`,
    );
  }
  try {
    return png ? decodePng(bytes) : decodeJpeg(bytes, mostPixels);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(422, `The file is damaged: ${(error as Error).message}`);
  }
}

const PNG_SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
// Of the first chunk, which is the header.
const PNG_WIDTH = 16;
const PNG_HEIGHT = 20;
const PNG_INTERLACE = 28;

function pngSize(bytes: Buffer): Size | undefined {
  if (bytes.length <= PNG_INTERLACE) return undefined;
  return {width: bytes.readUInt32BE(PNG_WIDTH), height: bytes.readUInt32BE(PNG_HEIGHT)};
}

function decodePng(bytes: Buffer): Picture {
  // pngjs inflates an interlaced file as far as it goes; any other one no further than its size allows.
  if (bytes[PNG_INTERLACE] !== 0) throw new Refusal(422, 'Interlaced PNGs are not taken.');
  const {width, height, data} = PNG.sync.read(bytes);
  const rgb = new Uint8ClampedArray(3 * width * height);
  for (let pixel = 0; pixel < width * height; ++pixel) {
    const alpha = data[4 * pixel + 3] / 255;
    // What is transparent shows white paper.
    for (let channel = 0; channel < 3; ++channel) {
      rgb[3 * pixel + channel] = 255 + alpha * (data[4 * pixel + channel] - 255);
    }
  }
  return {width, height, rgb};
}

/** From the frame header, which other segments come before. */
function jpegSize(bytes: Buffer): Size | undefined {
  let at = 2;
  while (at + 9 <= bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1];
    const frame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (frame) return {height: bytes.readUInt16BE(at + 5), width: bytes.readUInt16BE(at + 7)};
    // Any number of 0xff may stand before a marker.
    at += marker === 0xff ? 1 : 2 + bytes.readUInt16BE(at + 2);
  }
  return undefined;
}

function decodeJpeg(bytes: Buffer, mostPixels: number): Picture {
  const {width, height, data} = jpeg.decode(bytes, {
    useTArray: true,
    formatAsRGBA: false,
    tolerantDecoding: false,
    // Of a second frame header, too.
    maxResolutionInMP: mostPixels / 1e6,
    maxMemoryUsageInMB: 256,
  });
  return {width, height, rgb: data};
}

export function encodePng({width, height, rgb}: Picture): Buffer {
  const png = new PNG({width, height});
  png.data = Buffer.from(rgb.buffer, rgb.byteOffset, rgb.byteLength);
  // Without alpha. One filter for all rows, and little effort, take a fraction of the time.
  return PNG.sync.write(png, {
    colorType: 2,
    inputColorType: 2,
    inputHasAlpha: false,
    filterType: 4,
    deflateLevel: 3,
  });
}
