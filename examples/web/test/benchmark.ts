// Runs the benchmark page in Chromium, and prints what it exports as JSON.
import {readFile} from 'node:fs/promises';
import {openSite} from './browser.ts';

const site = await openSite();
try {
  const page = await site.browser.newPage();
  await page.goto(`${site.address}benchmark.html`);
  await page.getByRole('button', {name: 'Run the benchmark'}).click();
  const save = page.getByRole('button', {name: 'Download JSON'});
  const error = page.getByRole('alert');
  await save.or(error).waitFor({timeout: 600_000});
  if (await error.isVisible()) throw new Error(await error.innerText());
  const [download] = await Promise.all([page.waitForEvent('download'), save.click()]);
  console.log(await readFile(await download.path(), 'utf8'));
} finally {
  await site.close();
}
