// Draws docs/demo.png: the demo after a run on the sample, as wide as a small window.
import {fileURLToPath} from 'node:url';
import {openSite} from './browser.ts';

const site = await openSite();
try {
  const page = await site.browser.newPage({viewport: {width: 1000, height: 720}});
  await page.goto(`${site.address}index.html`);
  await page.getByRole('button', {name: 'Run'}).click();
  await page.getByRole('status').filter({hasText: /^Done/}).waitFor({state: 'attached', timeout: 120_000});
  await page.mouse.move(0, 0);
  await page.screenshot({path: fileURLToPath(new URL('../../../docs/demo.png', import.meta.url))});
} finally {
  await site.close();
}
