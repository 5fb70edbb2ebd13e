// A service that listens, and pictures to send to it.
import {readFileSync} from 'node:fs';
import type {TestContext} from 'node:test';
import jpeg from 'jpeg-js';
import {PNG} from 'pngjs';
import {createService, type ServiceOptions} from '../service.ts';

const OPTIONS: ServiceOptions = {
  kernels: 'im2win',
  threads: 1,
  workers: 1,
  queue: 16,
  mostBytes: 2 ** 20,
  mostPixels: 512 * 512,
  timeoutMs: 60_000,
  receiveMs: 60_000,
  logLevel: 'silent',
  onFailed: () => {
    throw new Error('no worker can be started');
  },
};

/** Closed when the test is over. */
export async function startService(
  test: TestContext,
  options: Partial<ServiceOptions> = {},
): Promise<string> {
  const app = await createService({...OPTIONS, ...options});
  test.after(() => app.close());
  return app.listen({host: '127.0.0.1', port: 0});
}

const photograph = PNG.sync.read(
  readFileSync(new URL('../../super-resolution/chelsea.png', import.meta.url)),
);

export interface Patch {
  readonly width: number;
  readonly height: number;
  /** Red, green, blue and alpha. */
  readonly data: Uint8Array;
}

/** A part of a photograph of a cat; others are further down. */
export function patch(width: number, height: number, place = 0): Patch {
  const data = new Uint8Array(4 * width * height);
  for (let y = 0; y < height; ++y) {
    const from = 4 * ((y + 20 + place) * photograph.width + 150);
    data.set(photograph.data.subarray(from, from + 4 * width), 4 * y * width);
  }
  return {width, height, data};
}

export function pngOf({width, height, data}: Patch): Buffer {
  const png = new PNG({width, height});
  png.data = Buffer.from(data);
  return PNG.sync.write(png);
}

export const jpegOf = ({width, height, data}: Patch): Buffer =>
  jpeg.encode({width, height, data: Buffer.from(data)}, 95).data;

/** As in a form with one file. */
export function formOf(file: Uint8Array, type = 'image/png'): FormData {
  const form = new FormData();
  form.append('image', new Blob([Uint8Array.from(file)], {type}), 'picture');
  return form;
}

export const errorOf = ({body}: {readonly body: Uint8Array}): string =>
  JSON.parse(Buffer.from(body).toString()).error;
