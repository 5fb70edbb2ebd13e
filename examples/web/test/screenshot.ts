// Draws docs/demo.png: the demo after a run on the sample, a little smaller than life.
import {writeFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {PNG} from 'pngjs';
import {openSite} from './browser.ts';

const site = await openSite();
try {
  const page = await site.browser.newPage({
    viewport: {width: 1080, height: 800},
    deviceScaleFactor: 0.8,
  });
  await page.goto(`${site.address}index.html`);
  await page.getByRole('button', {name: 'Run'}).click();
  await page.getByRole('status').filter({hasText: /^Done/}).waitFor({state: 'attached', timeout: 120_000});
  await page.mouse.move(0, 0);
  // Packed as small as PNG goes.
  const png = PNG.sync.read(await page.screenshot());
  const file = fileURLToPath(new URL('../../../docs/demo.png', import.meta.url));
  writeFileSync(file, PNG.sync.write(png, {colorType: 2, deflateLevel: 9}));
} finally {
  await site.close();
}
