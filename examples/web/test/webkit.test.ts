// Both pages in WebKit: they load, run, and show what is right, and nothing is complained of.
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {after, before, test} from 'node:test';
import {fileURLToPath} from 'node:url';
import type {Engine, Page} from '../../../test/browser/engines.ts';
import {type Server, serve} from '../../../test/browser/server.ts';
import {hasWebKit, launchWebKit} from '../../../test/browser/webkit.ts';
import {canvasDifference, shown, tableRows} from './inPage.ts';

const DIST = fileURLToPath(new URL('../dist/', import.meta.url));

/** WebDriver does not tell of exceptions, of failed requests, or of the console: the page keeps them itself. */
const RECORDER = `<script>
  globalThis.surprises = [];
  const surprise = (what) => surprises.push(String(what));
  addEventListener('error', ({message, target}) => surprise(message ?? target.outerHTML), true);
  addEventListener('unhandledrejection', ({reason}) => surprise(reason));
  console.error = (...words) => surprise(words.join(' '));
</script>`;

const ISOLATED = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

let server: Server;
let engine: Engine;

before(async () => {
  if (!hasWebKit) return;
  const recorded = (name: string) => {
    const html = readFileSync(`${DIST}${name}`, 'utf8');
    return {text: html.replace('<head>', `<head>${RECORDER}`)};
  };
  server = await serve(
    {
      '/index.html': recorded('index.html'),
      '/benchmark.html': recorded('benchmark.html'),
      '/': DIST,
    },
    () => ISOLATED,
  );
  engine = await launchWebKit();
});
after(async () => {
  server?.close();
  await engine?.close();
});

function pageTest(name: string, file: string, check: (page: Page) => Promise<void>): void {
  test(name, {skip: hasWebKit ? false : 'there is no WebKit'}, async () => {
    const page = await engine.newPage();
    try {
      await page.goto(`${server.origin}/${file}`);
      await check(page);
      assert.deepEqual(await page.evaluate('surprises'), []);
    } finally {
      await page.close();
    }
  });
}

/** A function of inPage.ts, called in the page. */
async function inPage<Argument, Value>(
  page: Page,
  call: (argument: Argument) => Value | Promise<Value>,
  argument: Argument,
): Promise<Value> {
  return (await page.evaluate(`(${call})(${JSON.stringify(argument)})`)) as Value;
}

const click = (page: Page, selector: string) =>
  page.evaluate(`document.querySelector('${selector}').click()`);

const chosen = (page: Page, size: string) => inPage(page, shown, {id: 'picture-name', pattern: size});

async function run(page: Page): Promise<string> {
  await click(page, '#run');
  return inPage(page, shown, {id: 'announcement', pattern: '^Done'});
}

pageTest('super-resolution of the sample', 'index.html', async (page) => {
  await chosen(page, '451 × 300');
  assert.match(await run(page), /doubled to 902 × 600 pixels/);
  const agreement = await page.evaluate("document.getElementById('agreement').innerText");
  assert.match(agreement as string, /The outputs differ by at most .*: rounding\.$/);
  const {largest} = await inPage(page, canvasDifference, ['canvas-stock', 'canvas-im2win']);
  assert.ok(largest <= 1, `a pixel of stock and im2win differs by ${largest}`);
  const {differing} = await inPage(page, canvasDifference, ['canvas-original', 'canvas-im2win']);
  assert.ok(differing > 10_000, `the network changed ${differing} values only`);
  const layers = await inPage(page, tableRows, 'Layer by layer');
  assert.equal(layers.length, 13, 'twelve convolutions, and the rest');
  for (const [name, , , , taken] of layers.slice(0, -1)) {
    assert.match(taken, /^(im2win|winograd)$/, `${name} is taken by ${taken}`);
  }
});

pageTest('the pose of the sample', 'index.html', async (page) => {
  await chosen(page, '451 × 300');
  await click(page, '[value=pose]');
  await chosen(page, '512 × 512');
  const points = /a person, and (\d+) of 17 points/.exec(await run(page))?.[1];
  assert.ok(Number(points) >= 8, `${points} of 17 points are found`);
});

pageTest('the benchmark', 'benchmark.html', async (page) => {
  await page.evaluate(`document.getElementById('repetitions').value = '5'`);
  await run(page);
  const layers = await inPage(page, tableRows, 'Convolutions');
  assert.equal(layers.length, 12);
  for (const [name, , , , taken] of layers) {
    assert.match(taken, /^(im2win|winograd)$/, `${name} is taken by ${taken}`);
  }
  assert.equal((await inPage(page, tableRows, 'Networks')).length, 2);
});
