// tfjs-core's own convolution specs, unfiltered: with the plugin registered, no
// spec fails that stock tfjs passes.
import {spawnSync} from 'node:child_process';
import path from 'node:path';

function run(...args: string[]) {
  const script = path.join(__dirname, 'specs', 'run.ts');
  const {stdout, status, stderr} = spawnSync(process.execPath, [script, '--json', ...args], {
    encoding: 'utf8',
  });
  if (stdout === '') throw new Error(stderr);
  return {...JSON.parse(stdout), status};
}

// The numbers are those of tfjs 4.22; a green run on nothing would show here.
test('on wasm', () => {
  const result = run('--backend', 'wasm');
  expect(result.broken).toEqual([]);
  expect(result).toMatchObject({specs: 277, specsWithPlugin: 277, stockPasses: 216, status: 0});
  expect(result.convolutionsTaken).toBeGreaterThan(50);
  // Stock has no gradients, and takes no bias of another rank than 1.
  expect(result.mended).toHaveLength(56);
});

test('on cpu', () => {
  const result = run('--backend', 'cpu');
  expect(result.convolutionsTaken).toBeGreaterThan(50);
  expect(result).toMatchObject({
    specs: 277,
    specsWithPlugin: 277,
    stockPasses: 277,
    broken: [],
    status: 0,
  });
});

test('matrix products on wasm', () => {
  const result = run('--backend', 'wasm', '--set', 'matMul');
  expect(result).toMatchObject({specs: 93, specsWithPlugin: 93, stockPasses: 89, broken: [], status: 0});
  // Stock takes no bias of another rank than 1.
  expect(result.mended).toHaveLength(3);
});

test.each(['wasm', 'cpu'])('one spoiled value turns them red on %s', (backend) => {
  const result = run('--corrupt', '--backend', backend);
  expect(result.status).toBe(1);
  expect(result.broken.length).toBeGreaterThan(20);
});
