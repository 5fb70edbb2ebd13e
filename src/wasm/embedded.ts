import type {Flavour} from '../plan.ts';
import {KERNEL_BYTES} from './kernels.generated.ts';
import type {KernelFile, KernelSource} from './source.ts';

/** The kernels that are part of the JavaScript. */
export const EMBEDDED_KERNELS: KernelSource = {relaxed: embedded('relaxed'), strict: embedded('strict')};

function embedded(flavour: Flavour): KernelFile {
  return {
    name: `the embedded kernels (${flavour})`,
    async load() {
      if (typeof DecompressionStream === 'undefined') {
        throw new Error(
          'registerIm2win: this engine has no DecompressionStream, which the embedded kernels need; ' +
            "'tfjs-im2win/slim' does without.",
        );
      }
      return inflate(fromBase64(KERNEL_BYTES[flavour]));
    },
  };
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; ++i) bytes[i] = characters.charCodeAt(i);
  return bytes;
}

// Not by way of a Blob and a Response, which take Node 40 ms to load.
async function inflate(deflated: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const source = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      controller.enqueue(deflated);
      controller.close();
    },
  });
  const reader = source.pipeThrough(new DecompressionStream('deflate')).getReader();
  const chunks: Uint8Array[] = [];
  for (let next = await reader.read(); !next.done; next = await reader.read()) chunks.push(next.value);
  const bytes = new Uint8Array(chunks.reduce((sum, {length}) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
