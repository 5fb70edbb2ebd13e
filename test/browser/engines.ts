// The browsers, headless: Chromium by Playwright, Firefox by WebDriver BiDi. Their paths are in CHROMIUM
// and FIREFOX, or where Debian puts them.
import {existsSync} from 'node:fs';
import {chromium} from 'playwright-core';
import puppeteer from 'puppeteer-core';

/** What every driver's browsers and pages can do. */
export interface Engine {
  newPage(): Promise<Page>;
  close(): Promise<unknown>;
}

export interface Page {
  goto(url: string): Promise<unknown>;
  /** The value of an expression, awaited. */
  evaluate(expression: string): Promise<unknown>;
  close(): Promise<unknown>;
}

/** @param jsFlags Of V8. */
export async function launchChromium(jsFlags = '') {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      ...(jsFlags === '' ? [] : [`--js-flags=${jsFlags}`]),
    ],
  });
}

const firefoxPath = process.env.FIREFOX ?? '/usr/bin/firefox-esr';

export const hasFirefox = existsSync(firefoxPath);

/** @param preferences As in about:config. */
export async function launchFirefox(preferences: Record<string, boolean> = {}) {
  return puppeteer.launch({
    browser: 'firefox',
    executablePath: firefoxPath,
    headless: true,
    extraPrefsFirefox: preferences,
  });
}
