// Chromium, headless: the path is in CHROMIUM, or where Debian puts it.
import {type Browser, chromium} from 'playwright-core';

export function launchChromium(flags: readonly string[] = []): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      ...flags,
    ],
  });
}
