// Both pages as a visitor has them: what is checked is what they show.
import assert from 'node:assert/strict';
import {readFile} from 'node:fs/promises';
import {createRequire} from 'node:module';
import {after, afterEach, before, beforeEach, test} from 'node:test';
import type {AxeResults} from 'axe-core';
import type {Locator, Page} from 'playwright-core';
import type {BenchmarkExport} from '../src/benchmark.ts';
import {openSite, type Site} from './browser.ts';
import {canvasDifference} from './inPage.ts';

const AXE = createRequire(import.meta.url).resolve('axe-core');
const RUN_MS = 60_000;
const PHONE = {width: 390, height: 844};

let site: Site;
let page: Page;
/** What no test expects: exceptions on the page, and failed requests. */
let surprises: string[];

before(async () => {
  site = await openSite();
});
after(() => site.close());

beforeEach(async () => {
  page = await site.browser.newPage({viewport: {width: 1280, height: 900}});
  page.setDefaultTimeout(10_000);
  surprises = [];
  page.on('pageerror', (error) => surprises.push(String(error)));
  page.on('requestfailed', (request) => surprises.push(`${request.url()} failed`));
});
afterEach(() => page.close());

const open = (name: 'index' | 'benchmark') => page.goto(`${site.address}${name}.html`);
const run = () => page.getByRole('button', {name: /^Run/});
const alert = () => page.getByRole('alert');
const score = () => page.getByRole('heading', {name: /× as fast$/});

/** Waits for something that a run shows; an error that the page shows ends the test with its words. */
async function shown(what: Locator): Promise<void> {
  const error = alert().filter({visible: true});
  await what.or(error).first().waitFor({state: 'attached', timeout: RUN_MS});
  if (await error.isVisible()) assert.fail(`the page says: ${await error.innerText()}`);
}

/** Waits for the end of a run, and what is announced then. */
async function finished(): Promise<string> {
  const done = page.getByRole('status').filter({hasText: /^Done/});
  await shown(done);
  return done.innerText();
}

/** A worker that is ended in the middle of a network ends a moment later. */
async function workersGone(): Promise<void> {
  const deadline = Date.now() + 5000;
  while (page.workers().length > 0) {
    assert.ok(Date.now() < deadline, `${page.workers().length} workers are still there`);
    await page.waitForTimeout(20);
  }
}

/** Reads '4.58 s', '973.9 ms' or '60.80'. */
function milliseconds(text: string): number {
  return Number.parseFloat(text) * (text.endsWith(' s') ? 1000 : 1);
}

async function ratioShown(): Promise<number> {
  return Number.parseFloat(await score().innerText());
}

/** The text of each cell of a table, by its caption. */
async function tableRows(caption: RegExp): Promise<string[][]> {
  const rows = await page.getByRole('table', {name: caption}).locator('tbody tr').all();
  return Promise.all(rows.map((row) => row.locator('th, td').allInnerTexts()));
}

async function expectAccessible(state: string): Promise<void> {
  await page.addScriptTag({path: AXE});
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({colorScheme});
    const {violations} = await page.evaluate(() =>
      (globalThis as unknown as {axe: {run(): Promise<AxeResults>}}).axe.run(),
    );
    assert.deepEqual(
      violations.map(({id, help, nodes}) => `${id}: ${help} (${nodes.map(({html}) => html).join(', ')})`),
      [],
      `axe on ${state}, ${colorScheme}`,
    );
  }
  await page.emulateMedia({colorScheme: null});
}

async function expectNoSidewaysScrolling(): Promise<void> {
  await page.setViewportSize(PHONE);
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= PHONE.width, `the page is ${width} pixels wide on a phone of ${PHONE.width}`);
}

/** From now on counts the time between frames, and the values that the progress bar shows. */
function watchFrames(): Promise<void> {
  return page.evaluate(() => {
    const seen = {longestGap: 0, values: [] as number[]};
    let last = performance.now();
    const frame = (now: number) => {
      seen.longestGap = Math.max(seen.longestGap, now - last);
      last = now;
      const value = document.querySelector('progress')?.value ?? 0;
      if (value !== seen.values.at(-1)) seen.values.push(value);
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    Object.assign(globalThis, {seen});
  });
}

/** @param network Milliseconds of stock's run of a network, for which a page that computes itself stands still. */
async function expectLively(leastSteps: number, network: number): Promise<void> {
  const {longestGap, values} = await page.evaluate(
    () => (globalThis as unknown as {seen: {longestGap: number; values: number[]}}).seen,
  );
  assert.ok(longestGap < network, `the page stood still for ${longestGap} ms, a network takes ${network}`);
  assert.deepEqual(
    values,
    [...values].sort((a, b) => a - b),
    'the progress bar went back',
  );
  assert.ok(values.length >= leastSteps, `the progress bar showed ${values.length} values only`);
}

/** A picture as a file, drawn by the browser. */
async function pictureFile(name: string, width: number, height: number) {
  const bytes = await page.evaluate(
    async ([w, h]) => {
      const canvas = new OffscreenCanvas(w, h);
      const context = canvas.getContext('2d') as OffscreenCanvasRenderingContext2D;
      const gradient = context.createLinearGradient(0, 0, w, h);
      gradient.addColorStop(0, 'teal');
      gradient.addColorStop(1, 'orange');
      context.fillStyle = gradient;
      context.fillRect(0, 0, w, h);
      const blob = await canvas.convertToBlob({type: 'image/png'});
      return Array.from(new Uint8Array(await blob.arrayBuffer()));
    },
    [width, height],
  );
  return {name, mimeType: 'image/png', buffer: Buffer.from(bytes)};
}

const chooseFile = () => page.getByLabel(/Choose a photograph/);
const chosen = (text: string | RegExp) => page.locator('figcaption', {hasText: text}).waitFor();

test('super-resolution of the sample, by keyboard alone, while the page stays lively', async () => {
  await open('index');
  await chosen('451 × 300');
  await expectAccessible('the demo before a run');
  await run().focus();
  await watchFrames();
  await page.keyboard.press('Enter');
  await page.getByRole('progressbar').waitFor();
  await shown(score());
  assert.equal(page.workers().length, 2, 'stock and im2win each run in a worker');
  const announcement = await finished();
  const figures = await tableRows(/Time and memory/);
  const [, stock, im2win] = figures.find(([name]) => name.startsWith('All 12 patches')) ?? [];
  await expectLively(12, milliseconds(stock) / 12);

  assert.match(announcement, /doubled to 902 × 600 pixels/);
  await workersGone();
  const ratio = milliseconds(stock) / milliseconds(im2win);
  assert.ok(
    Math.abs((await ratioShown()) - ratio) <= 0.051 * ratio,
    'the headline is the ratio of the whole',
  );
  const agreement = await page.getByText(/The outputs differ by at most/).innerText();
  assert.match(agreement, /: rounding\.$/);
  const exponent = /· 10⁻([⁰-⁹])/.exec(agreement)?.[1];
  assert.ok(exponent !== undefined && exponent >= '⁶', agreement);

  const layers = await tableRows(/Layer by layer/);
  assert.equal(layers.length, 13, 'twelve convolutions, and the rest');
  for (const [name, ...cells] of layers.slice(0, -1)) {
    const taken = cells[3];
    assert.match(taken, /^(im2win|winograd)$/, `${name} is taken by ${taken}`);
    assert.ok(
      cells.slice(0, 3).every((cell) => Number.parseFloat(cell) > 0),
      name,
    );
  }
  const memory = figures.find(([name]) => name.includes('heap'));
  assert.match(memory?.[1] ?? '', /^\d+\.\d MiB$/);
  assert.match(memory?.[2] ?? '', /^\d+\.\d MiB$/);

  const {largest} = await page.evaluate(canvasDifference, ['canvas-stock', 'canvas-im2win'] as const);
  assert.ok(largest <= 1, `a pixel of stock and im2win differs by ${largest}`);
  const {differing} = await page.evaluate(canvasDifference, ['canvas-original', 'canvas-im2win'] as const);
  assert.ok(differing > 10_000, `the network changed ${differing} values only`);

  await expectAccessible('the demo after a run');
  await checkSlider();
  await expectNoSidewaysScrolling();
  assert.deepEqual(surprises, []);
});

async function checkSlider(): Promise<void> {
  const slider = page.getByRole('slider', {name: 'Compare stock tfjs and im2win'});
  const clip = () => page.locator('#canvas-stock').evaluate((canvas) => getComputedStyle(canvas).clipPath);
  await page.evaluate(() => (document.activeElement as HTMLElement).blur());
  for (let tabs = 0; tabs < 20; ++tabs) {
    await page.keyboard.press('Tab');
    if (await slider.evaluate((input) => input === document.activeElement)) break;
  }
  assert.ok(await slider.evaluate((input) => input === document.activeElement), 'Tab leads to the slider');
  const outline = await page
    .locator('.handle')
    .evaluate((handle) => getComputedStyle(handle, '::after').outlineStyle);
  assert.equal(outline, 'solid', 'the slider shows that it has the focus');
  await page.keyboard.press('ArrowRight');
  assert.equal(await slider.inputValue(), '51');
  assert.equal(await slider.getAttribute('aria-valuetext'), 'left 51 % stock tfjs, the rest im2win');
  assert.match(await clip(), /51%|49%/);
  await page.keyboard.press('Home');
  assert.match(await clip(), /100%/, 'at its start stock is hidden');
  await page.keyboard.press('End');
  await page.getByLabel('Left side').selectOption('without a network');
  assert.ok(await page.locator('#canvas-original').isVisible());
  assert.ok(!(await page.locator('#canvas-stock').isVisible()));
}

test('the first screen says what it is, and has the button', async () => {
  for (const size of [PHONE, {width: 1280, height: 720}]) {
    await page.setViewportSize(size);
    await open('index');
    await chosen('451 × 300');
    assert.ok(!(await page.getByRole('table').first().isVisible()), 'there are no figures before a run');
    for (const part of [page.getByRole('heading', {level: 1}), run()]) {
      const box = await part.boundingBox();
      assert.ok(box && box.y + box.height <= size.height, `${part} ends at ${JSON.stringify(box)}`);
    }
  }
});

test('the pose of the sample', async () => {
  await open('index');
  await page.getByLabel('Pose').check();
  await chosen('512 × 512');
  await run().click();
  const points = /a person, and (\d+) of 17 points/.exec(await finished())?.[1];
  assert.ok(Number(points) >= 8, `${points} of 17 points are found`);
  assert.match(await page.getByText(/The outputs differ by at most/).innerText(), /: rounding\.$/);
  for (const canvas of ['canvas-stock', 'canvas-im2win']) {
    const face = await page.locator(`#${canvas}`).evaluate((element) => {
      const context = (element as HTMLCanvasElement).getContext('2d') as CanvasRenderingContext2D;
      // The astronaut's face, and the colour of a point.
      const {data} = context.getImageData(170, 50, 110, 120);
      let count = 0;
      for (let i = 0; i < data.length; i += 4) {
        if (data[i] === 0x4b && data[i + 1] === 0xe3 && data[i + 2] === 0xc4) ++count;
      }
      return count;
    });
    assert.ok(face > 50, `${canvas} has ${face} pixels of points on the face`);
  }
  assert.equal((await tableRows(/Layer by layer/)).length, 13);
  await page.getByRole('button', {name: 'Show all layers'}).click();
  const layers = await tableRows(/Layer by layer/);
  assert.equal(layers.length, 75);
  assert.ok(layers.some(([name, , , , taken]) => name.includes('depthwise') && taken === 'depthwise'));
  assert.deepEqual(surprises, []);
});

test('fewer kernels: the changes are listed, and the output stays', async () => {
  await open('index');
  const fewerKernels = page.getByRole('checkbox', {name: /^Fewer kernels/});
  const summary = page.locator('summary', {hasText: 'Fewer kernels'});
  const runOnce = async (network: string) => {
    await run().click();
    await page.getByRole('progressbar').waitFor();
    const announcement = await finished();
    assert.match(await page.getByText(/The outputs differ by at most/).innerText(), /: rounding\.$/);
    // A pose's lines have soft edges, which rounding changes.
    if (network !== 'Pose') {
      const {largest} = await page.evaluate(canvasDifference, ['canvas-stock', 'canvas-im2win'] as const);
      assert.ok(largest <= 1, `a pixel of stock and im2win differs by ${largest}`);
    }
    return announcement.replace(/[\d.]+ times as fast/, '');
  };
  const kernels = async () => (await summary.innerText()).match(/\d+/g)?.map(Number) ?? [];
  for (const {name, size, convolutions} of [
    {name: 'Super-resolution', size: '451 × 300', convolutions: 12},
    {name: 'Pose', size: '512 × 512', convolutions: 74},
  ]) {
    await page.getByLabel(name).check();
    await chosen(size);
    const plain = await runOnce(name);
    assert.ok(!(await summary.isVisible()), 'without the switch there is no list');

    await fewerKernels.check();
    // The figures without the switch are gone.
    await page.locator('#results').waitFor({state: 'hidden'});
    assert.equal(await runOnce(name), plain);
    const [im2win, stock, count] = await kernels();
    assert.ok(im2win < stock, `${im2win} kernels in place of ${stock}`);
    // It stays open from one run to the next.
    if (name !== 'Pose') await summary.click();
    const changes = await tableRows(/Changes of the network/);
    assert.ok(
      changes.some(
        ([pattern, was, now]) =>
          /^residual sum/.test(pattern) && was === 'FusedConv2D → Add' && now === 'Im2winConv2D',
      ),
      `${changes}`,
    );
    const kinds = new Set(changes.map((cells) => cells.slice(0, 3).join()));
    assert.equal(kinds.size, changes.length, 'equal changes have one row');
    const sum = changes.reduce((all, cells) => all + Number(cells[3]), 0);
    assert.equal(sum, count, 'the rows have all changes');

    const all = page.getByRole('button', {name: 'Show all layers'});
    if (await all.isVisible()) await all.click();
    const layers = await tableRows(/Layer by layer/);
    assert.equal(layers.length, convolutions + 1, 'each convolution has its counterpart');
    assert.deepEqual(layers.at(-1)?.[0].match(/\d+/g)?.map(Number).slice(0, 2), [
      stock - convolutions,
      im2win - convolutions,
    ]);
    if (name === 'Pose') {
      await expectAccessible('the list of changes');
      await expectNoSidewaysScrolling();
    }

    await fewerKernels.uncheck();
    await page.locator('#results').waitFor({state: 'hidden'});
    assert.equal(await runOnce(name), plain);
    assert.ok(!(await summary.isVisible()), 'the network is as it was loaded');
  }
  assert.deepEqual(surprises, []);
});

test('a dropped picture is taken, and one that is too large is scaled down', async () => {
  await open('index');
  await chosen('451 × 300');
  const {buffer, ...file} = await pictureFile('dropped.png', 150, 90);
  const transfer = await page.evaluateHandle(
    ({bytes, name, mimeType}) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], name, {type: mimeType}));
      return data;
    },
    {bytes: Array.from(buffer), ...file},
  );
  await page.dispatchEvent('main', 'drop', {dataTransfer: transfer});
  await chosen('dropped.png, 150 × 90 pixels');
  await run().click();
  assert.match(await finished(), /doubled to 300 × 180 pixels/);

  await chooseFile().setInputFiles(await pictureFile('large.png', 1200, 800));
  await chosen(/large\.png, 1200 × 800 pixels, scaled down to 512/);
  const doubled = await page.locator('#canvas-im2win').getAttribute('width');
  assert.equal(doubled, '1024', 'twice as wide as what is left of a large picture');
  await page.getByRole('button', {name: 'Use the sample again'}).click();
  await chosen('the sample, a cat');
  assert.ok(!(await page.locator('#results').isVisible()), 'figures of another picture are gone');
  assert.deepEqual(surprises, []);
});

test('what is no picture, too small or too narrow, is refused in words', async () => {
  await open('index');
  await chosen('451 × 300');
  const refused = async (
    file: {name: string; mimeType: string; buffer: Buffer},
    words: RegExp,
  ): Promise<void> => {
    await chooseFile().setInputFiles(file);
    await alert().filter({hasText: words}).waitFor();
  };
  const text = Buffer.from('no picture');
  await refused({name: 'notes.txt', mimeType: 'text/plain', buffer: text}, /“notes\.txt” is not an image/);
  await refused({name: 'broken.png', mimeType: 'image/png', buffer: text}, /could not be read as an image/);
  await refused(await pictureFile('dot.png', 8, 8), /“dot\.png” is too small: 8 × 8 pixels/);
  await refused(await pictureFile('strip.png', 400, 40), /“strip\.png” is too narrow: 400 × 40 pixels/);
  await expectAccessible('an error');
  await chosen('451 × 300');
});

test('a network that does not come, and a new attempt', async () => {
  await open('index');
  await chosen('451 × 300');
  await page.getByLabel('Pose').check();
  await chosen('512 × 512');
  await page.route('**/movenet-lightning-*.bin', (route) => route.abort());
  await run().click();
  await alert()
    .filter({hasText: /^The network could not be loaded: .* try again\.$/})
    .waitFor();
  await page.unroute('**/movenet-lightning-*.bin');
  await run().click();
  await finished();
  assert.ok(!(await alert().isVisible()), 'the error is gone');
});

test('a worker that crashes, and an engine without SIMD', async () => {
  await open('index');
  await chosen('451 × 300');
  const runWithWorker = async (change: (code: string) => string) => {
    await page.unrouteAll();
    await page.route('**/contender-*.js', async (route) => {
      const response = await route.fetch();
      await route.fulfill({response, body: change(await response.text())});
    });
    await run().click();
  };
  await runWithWorker(() => 'throw new Error("boom")');
  await alert()
    .filter({hasText: /^The worker stopped: .*boom/})
    .waitFor();
  await runWithWorker((code) => `WebAssembly.validate = () => false;${code}`);
  await alert()
    .filter({hasText: /^This browser has no WebAssembly SIMD/})
    .waitFor();
  await workersGone();
});

test('a run can be cancelled', async () => {
  await open('index');
  await chosen('451 × 300');
  await run().click();
  await shown(score());
  await page.getByRole('button', {name: 'Cancel'}).click();
  await page.getByRole('status').filter({hasText: 'Cancelled.'}).waitFor({state: 'attached'});
  await run().waitFor();
  assert.ok((await tableRows(/Time and memory/)).some(([name]) => /^So far, \d+ of 12$/.test(name)));
  await shown(page.getByText(/^Cancelled: these figures are of \d+ of 12\.$/));
  await workersGone();
  assert.ok(!(await alert().isVisible()));
});

test('the benchmark, and its JSON', async () => {
  await open('benchmark');
  await page.getByLabel('Repetitions').selectOption('5, quick');
  await watchFrames();
  await run().click();
  await page.getByRole('progressbar').waitFor();
  await finished();
  const layers = await tableRows(/Convolutions/);
  assert.equal(layers.length, 12);
  const networks = await tableRows(/Networks/);
  assert.deepEqual(
    networks.map(([name]) => name),
    ['ESRGAN slim 2×, 128 × 128', 'MoveNet Lightning, 192 × 192'],
  );
  await expectLively(30, milliseconds(networks[0][1]));
  const mean = await ratioShown();

  const downloading = page.waitForEvent('download');
  await page.getByRole('button', {name: 'Download JSON'}).click();
  const download = await downloading;
  assert.equal(download.suggestedFilename(), 'tfjs-im2win-benchmark.json');
  const json: BenchmarkExport = JSON.parse(await readFile(await download.path(), 'utf8'));
  assert.match(json.environment.userAgent, /Chrome/);
  assert.match(json.environment.tfjs, /^4\./);
  assert.equal(json.environment.simd, 'relaxed');
  assert.deepEqual(json.environment.threads, {stock: 1, im2win: 1});
  assert.equal(json.repetitions, 5);
  assert.deepEqual(
    json.layers.map(({name, milliseconds, speedup, algorithm}) => [
      name,
      milliseconds.stock.median.toFixed(2),
      milliseconds.im2win.median.toFixed(2),
      `${speedup.median.toFixed(2)}× ${speedup.low.toFixed(2)}–${speedup.high.toFixed(2)}`,
      algorithm,
    ]),
    layers.map((cells) => cells.map((cell) => cell.trim().replace(/\s+/g, ' '))),
    'the file holds what the page shows',
  );
  const product = json.layers.reduce((all, {speedup}) => all * speedup.median, 1);
  assert.ok(Math.abs(product ** (1 / 12) - mean) <= 0.051, 'the headline is the geometric mean');

  await expectAccessible('the benchmark after a run');
  await expectNoSidewaysScrolling();
  assert.deepEqual(surprises, []);
});

test('the benchmark with as many threads as im2win takes', async () => {
  await open('benchmark');
  await page.getByLabel('Repetitions').selectOption('5, quick');
  await page.getByLabel('Threads of im2win').selectOption('as many as it takes');
  await run().click();
  await finished();
  const downloading = page.waitForEvent('download');
  await page.getByRole('button', {name: 'Download JSON'}).click();
  const download = await downloading;
  const json: BenchmarkExport = JSON.parse(await readFile(await download.path(), 'utf8'));
  const {threads, logicalCores} = json.environment;
  assert.equal(threads.im2win > 1, logicalCores > 1);
  assert.equal(threads.stock, 1);
  assert.equal(json.layers.length, 12);
});
