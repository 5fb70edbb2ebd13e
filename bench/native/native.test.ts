// tfjs-node computes what stock and im2win compute, and all are timed. Skipped where tfjs-node cannot be had.
import assert from 'node:assert/strict';
import {execFile} from 'node:child_process';
import {test} from 'node:test';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {installTfjsNode} from './install.ts';

test('layers and networks by tfjs-node, stock and im2win', async (t) => {
  try {
    await installTfjsNode();
  } catch (error) {
    console.log(`not available: tfjs-node: ${(error as Error).message}`);
    return t.skip((error as Error).message);
  }
  const main = fileURLToPath(new URL('main.ts', import.meta.url));
  // It compares outputs before it times them.
  const {stdout} = await promisify(execFile)(process.execPath, [
    main,
    ...['--reps', '2', '--networks', 'ResNet-18,MobileNetV2'],
  ]);
  console.log(stdout);
  assert.equal(stdout.match(/^│ geometric mean/gm)?.length, 4);
});
