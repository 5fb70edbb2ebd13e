// Engines compute the same from each form of a network, and what computes something else is not timed. tfjs-node is left
// out, with the reason, where it cannot be had.
import assert from 'node:assert/strict';
import {execFile} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {test} from 'node:test';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {contendersOn, isBase} from './contenders.ts';
import {FILES, readFacts, readFloats} from './files.ts';
import {measure} from './measure.ts';

const run = (script: string, ...args: string[]) =>
  promisify(execFile)(process.execPath, [fileURLToPath(new URL(script, import.meta.url)), ...args]);

test('two networks by all engines', async () => {
  // It compares outputs before it times them.
  const {stdout} = await run('../main.ts', '--networks', 'BlazeFace,MobileNetV2', '--reps', '1');
  console.log(stdout);
  // Whatever is not available is tfjs-node: its form of each network, at each thread count.
  const missing = stdout.match(/^not available: .*$/gm) ?? [];
  for (const line of missing) assert.match(line, /^not available: tfjs-node/);
  // Of a network: the 13 contenders of one thread, the 12 of two.
  const rows = stdout.match(/^│ .*│ +\d+e[+-]\d+ │$/gm) ?? [];
  assert.equal(rows.length, 2 * (missing.length > 0 ? 25 - 8 : 25));
});

test('what computes something else is not timed', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'network-'));
  t.after(() => rmSync(folder, {recursive: true}));
  await run('write.ts', 'BlazeFace-like 128', folder);
  const expected = readFloats(path.join(folder, FILES.output));
  expected[17] += 0.01;
  writeFileSync(path.join(folder, FILES.output), expected);
  const task = {
    network: 'BlazeFace-like 128',
    folder,
    facts: readFacts(folder),
    threads: 1,
    contenders: contendersOn(1).filter(isBase),
    repetitions: 1,
  };
  await assert.rejects(
    measure(task, () => {}),
    /BlazeFace-like 128: stock, graph model differs from stock's layers model by 0\.00\d+ of the largest output/,
  );
});
