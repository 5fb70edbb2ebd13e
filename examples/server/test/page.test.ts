// The page, in Chromium.
import assert from 'node:assert/strict';
import {existsSync} from 'node:fs';
import {test} from 'node:test';
import {chromium} from 'playwright-core';
import {jpegOf, patch, startService} from './setup.ts';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const skip = existsSync(executablePath) ? false : `there is no ${executablePath}`;

test('the page shows a picture and its double, and what is wrong', {skip}, async (t) => {
  const origin = await startService(t);
  const browser = await chromium.launch({executablePath, args: ['--no-sandbox', '--disable-gpu']});
  t.after(() => browser.close());
  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on('pageerror', ({message}) => complaints.push(message));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(`${message.text()} ${message.location().url}`);
  });
  await page.goto(origin);
  const status = page.getByRole('status');
  const file = page.getByLabel('Choose a JPEG or PNG');

  await file.setInputFiles({name: 'cat.jpg', mimeType: 'image/jpeg', buffer: jpegOf(patch(80, 60))});
  await status.filter({hasText: /^Done in \d+ ms, of which the network took \d+ ms\.$/}).waitFor();
  await page.evaluate('Promise.all([...document.images].map((image) => image.decode()))');
  const sizes = await page.evaluate(
    '[...document.images].map(({naturalWidth, naturalHeight}) => [naturalWidth, naturalHeight])',
  );
  assert.deepEqual(sizes, [
    [80, 60],
    [160, 120],
  ]);

  // No more pixels than the service takes.
  const large = {width: 1200, height: 600, data: new Uint8Array(4 * 1200 * 600).fill(200)};
  await file.setInputFiles({name: 'large.jpg', mimeType: 'image/jpeg', buffer: jpegOf(large)});
  await status.filter({hasText: /^Done/}).waitFor();
  await page.evaluate('document.images[0].decode()');
  const [width, height] = (await page.evaluate(
    '[document.images[0].naturalWidth, document.images[0].naturalHeight]',
  )) as number[];
  assert.ok(width * height <= 512 * 512 && Math.abs(width / height - 2) < 0.01, `${width}×${height}`);

  await file.setInputFiles({name: 'no.png', mimeType: 'image/png', buffer: Buffer.from('no picture')});
  await status.filter({hasText: 'cannot read this file'}).waitFor();
  assert.deepEqual(complaints, []);
});
