// The service under load, and stopped under load, as a process of its own.
import assert from 'node:assert/strict';
import {once} from 'node:events';
import {test} from 'node:test';
import {metric, percentile, send, sendMany} from '../load.ts';
import {startProcess} from '../process.ts';
import {jpegOf, patch, pngOf} from './setup.ts';

test('100 requests, 8 at a time: none is lost', async (t) => {
  const {origin, child} = await startProcess([]);
  t.after(() => child.kill());
  const files = [0, 10, 20, 30].flatMap((place) => [
    pngOf(patch(64, 64, place)),
    jpegOf(patch(80, 48, place)),
  ]);
  const alone: Uint8Array[] = [];
  for (const file of files) alone.push((await send(`${origin}/upscale`, file)).body);

  let running = true;
  let healthy = 0;
  // Asked all the while: the event loop is free whatever the worker does.
  const health = (async () => {
    while (running) {
      assert.equal((await fetch(`${origin}/healthz`)).status, 200);
      ++healthy;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  const start = performance.now();
  const answers = await sendMany(`${origin}/upscale`, files, {requests: 100, atATime: 8});
  const seconds = (performance.now() - start) / 1000;
  running = false;
  await health;

  assert.equal(answers.length, 100);
  answers.forEach(({status, body}, i) => {
    assert.equal(status, 200);
    assert.ok(Buffer.from(alone[i % files.length]).equals(body), `answer ${i} is not that of its file`);
  });
  const times = answers.map(({milliseconds}) => milliseconds);
  const [p50, p95, p99, most] = [50, 95, 99, 100].map((one) => percentile(times, one).toFixed(0));
  console.log(
    `100 requests, 8 at a time: ${(100 / seconds).toFixed(1)} a second; ` +
      `p50 ${p50} ms, p95 ${p95}, p99 ${p99}, longest ${most}; ${healthy} times healthy meanwhile`,
  );
  const counts = [
    'http_request_duration_seconds_count{route="/upscale",status="200"}',
    'upscale_stage_seconds_count{stage="network"}',
    'upscale_places_taken',
  ];
  assert.deepEqual(await Promise.all(counts.map((name) => metric(origin, name))), [108, 108, 0]);
});

test('/healthz answers while a network runs', async (t) => {
  const {origin, child} = await startProcess(['--threads', '1']);
  t.after(() => child.kill());
  const finished: string[] = [];
  const upscaled = send(`${origin}/upscale`, pngOf(patch(300, 250))).then(() => finished.push('picture'));
  // In order: the picture takes longer than some answers that have no work.
  for (let i = 0; i < 5; ++i) {
    await fetch(`${origin}/healthz`);
    finished.push('health');
  }
  await upscaled;
  assert.deepEqual(finished, [...Array(5).fill('health'), 'picture']);
});

test('SIGTERM under load: what was taken is finished, the rest is refused', async (t) => {
  const {origin, child} = await startProcess([]);
  t.after(() => child.kill('SIGKILL'));
  const url = `${origin}/upscale`;
  const file = pngOf(patch(96, 96));
  const taken = Array.from({length: 8}, () => send(url, file));
  while ((await metric(origin, 'upscale_places_taken')) !== 8) {
    assert.equal(child.exitCode, null);
  }
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  // Until nothing listens any more, one that comes now is told so.
  const later: (number | string)[] = [];
  while (later.at(-1) !== 'no connection') {
    later.push(
      await send(url, file).then(
        ({status}) => status,
        () => 'no connection',
      ),
    );
  }
  assert.deepEqual(
    (await Promise.all(taken)).map(({status}) => status),
    Array(8).fill(200),
  );
  assert.deepEqual(await exit, [0, null]);
  // One may have come before the signal.
  assert.ok(later.every((one) => one === 'no connection' || one === 503 || one === 200));
});

test('SIGTERM with nothing to do, and a connection kept', async () => {
  const {origin, child} = await startProcess([]);
  await (await fetch(`${origin}/healthz`)).text();
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  assert.deepEqual(await exit, [0, null]);
});

test('what is wrong with the command line is said', async () => {
  await assert.rejects(
    startProcess(['--threads', '0']),
    /--threads is '0'; it must be a whole number from 1 to 16/,
  );
  await assert.rejects(startProcess(['--kernels', 'gpu']), /must be one of im2win,stock,native/);
  await assert.rejects(startProcess(['--frobnicate']), /--frobnicate/);
});
