// Requests that are wrong, and those that come when there is too much to do.
import assert from 'node:assert/strict';
import {request} from 'node:http';
import {test} from 'node:test';
import {metric, send} from '../load.ts';
import {errorOf, formOf, jpegOf, patch, pngOf, startService} from './setup.ts';

const MOST_BYTES = 50_000;
const MOST_PIXELS = 4096;

test('bad uploads', async (t) => {
  const origin = await startService(t, {mostBytes: MOST_BYTES, mostPixels: MOST_PIXELS});
  const url = `${origin}/upscale`;
  const png = pngOf(patch(32, 32));
  const jpeg = jpegOf(patch(32, 32));
  const changed = (file: Buffer, at: number, ...bytes: number[]) => {
    const copy = Buffer.from(file);
    copy.set(bytes, at);
    return copy;
  };
  const frame = jpeg.indexOf(Buffer.from([0xff, 0xc0]));
  const octets = {'content-type': 'application/octet-stream'};
  const huge = Buffer.alloc(MOST_BYTES + 1);
  const closed = '--x\r\ncontent-disposition: form-data; name="image"; filename="a"\r\n\r\nabc\r\n--x--\r\n';

  for (const [what, status, message, body, headers] of [
    ['nothing', 400, /no file in the request/, Buffer.alloc(0), octets],
    ['a form without a file', 400, /no file in the form/, formWithout()],
    ['a form with an empty file', 400, /no file in the form/, formOf(Buffer.alloc(0))],
    [
      'a form that ends early',
      400,
      /form/,
      closed.slice(0, -9),
      {'content-type': 'multipart/form-data; boundary=x'},
    ],
    ['a form without boundary', 400, /form/, closed, {'content-type': 'multipart/form-data'}],
    ['a body that is too large', 413, /50000 bytes/, huge, octets],
    ['a file that is too large, in a form', 413, /50000 bytes/, formOf(huge)],
    ['a form that is much too large', 413, /50000 bytes/, formOf(Buffer.alloc(10 * MOST_BYTES))],
    ['another type', 415, /multipart\/form-data/, 'hello', {'content-type': 'text/plain'}],
    ['no type', 415, /multipart\/form-data/, png, {}],
    ['a file of another kind', 415, /neither a PNG nor a JPEG/, Buffer.from('GIF89a, it says')],
    ['a file of one byte', 415, /neither a PNG nor a JPEG/, png.subarray(0, 1)],
    ['a file of another kind in a form', 415, /neither a PNG nor a JPEG/, formOf(Buffer.from('hello'))],
    ['a PNG that ends in its header', 422, /damaged/, png.subarray(0, 20)],
    ['a PNG that ends early', 422, /damaged/, png.subarray(0, png.length >> 1)],
    ['a PNG with a changed byte', 422, /damaged/, changed(png, png.length >> 1, ~png[png.length >> 1])],
    ['an empty PNG', 422, /empty/, changed(png, 16, 0, 0, 0, 0)],
    [
      'a PNG of many pixels',
      422,
      /2147483647×32 pixels; at most 4096/,
      changed(png, 16, 0x7f, 255, 255, 255),
    ],
    ['an interlaced PNG', 422, /[Ii]nterlaced/, changed(png, 28, 1)],
    ['a JPEG without a frame', 422, /damaged/, jpeg.subarray(0, frame)],
    ['a JPEG that ends early', 422, /damaged/, jpeg.subarray(0, frame + 40)],
    ['a JPEG of many pixels', 422, /65535×65535 pixels/, changed(jpeg, frame + 5, 255, 255, 255, 255)],
    ['a picture that is too large', 422, /65×64 pixels; at most 4096/, pngOf(patch(65, 64))],
  ] as [string, number, RegExp, Uint8Array | string | FormData, Record<string, string>?][]) {
    await t.test(what, async () => {
      const answer = await send(url, body, headers);
      assert.match(errorOf(answer), message);
      assert.equal(answer.status, status);
    });
  }

  await t.test('a body of unknown length that is too large', async () => {
    const status = await new Promise((resolve, reject) => {
      const sent = request(url, {method: 'POST', headers: {...octets, 'transfer-encoding': 'chunked'}});
      sent.on('response', ({statusCode}) => resolve(statusCode));
      sent.on('error', reject);
      sent.write(huge);
    });
    assert.equal(status, 413);
  });

  await t.test('another address, another method', async () => {
    assert.equal((await fetch(`${origin}/else`)).status, 404);
    assert.equal((await fetch(url)).status, 404);
  });

  await t.test('and all is well after that', async () => {
    assert.equal((await send(url, formOf(pngOf(patch(64, 64))))).status, 200);
    const {places} = (await (await fetch(`${origin}/healthz`)).json()) as {places: unknown};
    assert.deepEqual(places, {taken: 0, all: 17});
    assert.equal(await metric(origin, 'upscale_workers_replaced_total'), 0);
    assert.equal(
      await metric(origin, 'http_request_duration_seconds_count{route="/upscale",status="415"}'),
      5,
    );
  });
});

test('more requests than places', async (t) => {
  const origin = await startService(t, {queue: 2});
  const file = pngOf(patch(128, 128));
  // One is computed, two wait, and the rest are told to come back.
  const answers = await Promise.all(Array.from({length: 8}, () => send(`${origin}/upscale`, file)));
  const served = answers.filter(({status}) => status === 200);
  const refused = answers.filter(({status}) => status === 503);
  assert.ok(served.length >= 3);
  assert.ok(refused.length > 0);
  assert.equal(served.length + refused.length, 8);
  for (const answer of refused) {
    assert.ok(Number(answer.retryAfter) >= 1);
    assert.match(errorOf(answer), /All 3 places are taken/);
  }
});

test('a client that goes away gives its place back', async (t) => {
  const origin = await startService(t, {queue: 0});
  const gone = new AbortController();
  const first = fetch(`${origin}/upscale`, {
    method: 'POST',
    body: new Uint8Array(pngOf(patch(200, 200))),
    headers: {'content-type': 'image/png'},
    signal: gone.signal,
  });
  await until(async () => (await placesTaken(origin)) === 1);
  gone.abort();
  await assert.rejects(first);
  await until(async () => (await placesTaken(origin)) === 0);
  assert.equal((await send(`${origin}/upscale`, pngOf(patch(16, 16)))).status, 200);
});

test('a client that does not send its file is cut off', async (t) => {
  const origin = await startService(t, {receiveMs: 1000});
  const error = await new Promise<NodeJS.ErrnoException | number | undefined>((resolve) => {
    const sent = request(`${origin}/upscale`, {
      method: 'POST',
      headers: {'content-type': 'image/png', 'content-length': 1000},
    });
    sent.on('response', ({statusCode}) => resolve(statusCode));
    sent.on('error', resolve);
    sent.write('abc');
  });
  assert.ok(error === 408 || (error as NodeJS.ErrnoException).code === 'ECONNRESET');
  assert.equal(await placesTaken(origin), 0);
});

test('a worker that takes too long is replaced', async (t) => {
  const origin = await startService(t, {timeoutMs: 1});
  const answer = await send(`${origin}/upscale`, pngOf(patch(200, 200)));
  assert.equal(answer.status, 504);
  assert.match(errorOf(answer), /longer than 0.001 s/);
  assert.equal(await metric(origin, 'upscale_workers_replaced_total'), 1);
});

function formWithout(): FormData {
  const form = new FormData();
  form.append('name', 'value');
  return form;
}

async function placesTaken(origin: string): Promise<number> {
  const {places} = (await (await fetch(`${origin}/healthz`)).json()) as {places: {taken: number}};
  return places.taken;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10));
}
