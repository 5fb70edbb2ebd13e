// The built pages, served, and a headless Chromium to look at them. Its path is in CHROMIUM, or where Debian puts it.
import {fileURLToPath} from 'node:url';
import {type Browser, chromium} from 'playwright-core';
import {preview} from 'vite';

export interface Site {
  readonly browser: Browser;
  readonly address: string;
  close(): Promise<void>;
}

export async function openSite(): Promise<Site> {
  const configFile = fileURLToPath(new URL('../vite.config.ts', import.meta.url));
  const server = await preview({configFile, logLevel: 'error', preview: {port: 0}});
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update'],
  });
  return {
    browser,
    address: server.resolvedUrls?.local[0] ?? '',
    async close() {
      await browser.close();
      await server.close();
    },
  };
}
