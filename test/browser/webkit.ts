// WebKitGTK's MiniBrowser by WebDriver, on a display of its own. WebKitWebDriver is in WEBKIT_DRIVER, or where
// Debian puts it.
import {type ChildProcess, spawn} from 'node:child_process';
import {existsSync} from 'node:fs';
import {type AddressInfo, createServer} from 'node:net';
import type {Readable} from 'node:stream';
import {setTimeout} from 'node:timers/promises';
import type {Engine, Page} from './engines.ts';

const driverPath = process.env.WEBKIT_DRIVER ?? '/usr/bin/WebKitWebDriver';

/** These end a process without the event 'exit'. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const exit = () => process.exit(1);

export const hasWebKit = existsSync(driverPath);

/** @param options Of JavaScriptCore, as in `jsc --options`. */
export async function launchWebKit(options: Record<string, boolean> = {}): Promise<Engine> {
  const variables = Object.entries(options).map(([name, value]) => [`JSC_${name}`, `${value}`]);
  const children: ChildProcess[] = [];
  // Without its display a browser ends, too.
  const end = () => {
    for (const child of children) child.kill();
    process.off('exit', end);
    for (const signal of SIGNALS) process.off(signal, exit);
  };
  process.on('exit', end);
  for (const signal of SIGNALS) process.on(signal, exit);
  try {
    const xvfb = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '1280x1024x24', '-nolisten', 'tcp'], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    });
    children.push(xvfb);
    const display = `:${(await firstLine(xvfb, xvfb.stdio[3] as Readable)).trim()}`;
    const env = {...process.env, ...Object.fromEntries(variables), DISPLAY: display};
    const startDriver = async () => {
      const port = await freePort();
      const driver = spawn(driverPath, [`--port=${port}`], {env, stdio: 'ignore'});
      children.push(driver);
      const origin = `http://127.0.0.1:${port}`;
      await ready(origin, driver);
      return {driver, origin};
    };
    let current = await startDriver();
    return {
      // On a busy machine a driver may fail to start a browser, and never says so.
      newPage: async () => {
        for (let attempt = 1; ; ++attempt) {
          try {
            return await openSession(current.origin);
          } catch (error) {
            if (attempt === 3) throw error;
            current.driver.kill();
            current = await startDriver();
          }
        }
      },
      async close() {
        end();
      },
    };
  } catch (error) {
    end();
    throw error;
  }
}

/** A page is a session, and so a browser of its own: the driver has one at a time. */
async function openSession(origin: string): Promise<Page> {
  const capabilities = {alwaysMatch: {timeouts: {script: 600_000, pageLoad: 60_000}}};
  const request = command(origin, 'POST', '/session', {capabilities}, AbortSignal.timeout(20_000));
  const {sessionId} = (await request) as {sessionId: string};
  const session = `/session/${sessionId}`;
  return {
    goto: (url) => command(origin, 'POST', `${session}/url`, {url}),
    async evaluate(expression) {
      // As JSON, because the driver turns undefined into null.
      const script = `const done = (outcome) => arguments[0](JSON.stringify(outcome));
        (async () => (${expression}))().then((value) => done({value}), (error) => done({error: String(error)}));`;
      const outcome = await command(origin, 'POST', `${session}/execute/async`, {script, args: []});
      const {value, error} = JSON.parse(outcome as string) as {value?: unknown; error?: string};
      if (error !== undefined) throw new Error(error);
      return value;
    },
    close: () => command(origin, 'DELETE', session),
  };
}

async function command(
  origin: string,
  method: string,
  path: string,
  body?: object,
  signal?: AbortSignal,
): Promise<unknown> {
  const response = await fetch(origin + path, {method, body: body && JSON.stringify(body), signal});
  const {value} = (await response.json()) as {value: unknown};
  if (response.ok) return value;
  const {error, message} = value as {error: string; message: string};
  throw new Error(`WebKit's driver, ${method} ${path}: ${error}. ${message}`);
}

async function ready(origin: string, driver: ChildProcess): Promise<void> {
  for (let wait = 0; wait < 10_000; wait += 50) {
    if (driver.exitCode !== null) throw new Error(`WebKit's driver ended with ${driver.exitCode}.`);
    if (await command(origin, 'GET', '/status').catch(() => undefined)) return;
    await setTimeout(50);
  }
  throw new Error("WebKit's driver did not come up within 10 seconds.");
}

function firstLine(child: ChildProcess, stream: Readable): Promise<string> {
  return new Promise((resolve, reject) => {
    stream.once('data', (data) => resolve(String(data)));
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${child.spawnfile} ended with ${code}.`)));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const {port} = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
