// Starts the service, and stops it when asked to.
import {parseArgs} from 'node:util';
import {KERNELS, type Kernels} from './network.ts';
import {createService} from './service.ts';

const OPTIONS = {
  host: {value: '127.0.0.1', help: 'address to listen on'},
  port: {value: '8080', help: '0 for a free one'},
  kernels: {value: 'im2win', help: `${KERNELS.join(', ')}: who computes`},
  threads: {value: '', help: 'threads of each worker; as many as im2win takes by default if left out'},
  workers: {value: '1', help: 'pictures computed at a time'},
  queue: {value: '16', help: 'requests that may wait'},
  bytes: {value: String(8 * 2 ** 20), help: 'largest file'},
  pixels: {value: String(512 * 512), help: 'largest picture'},
  timeout: {value: '30', help: 'seconds that a picture may take, and as many for a request to arrive'},
  grace: {value: '30', help: 'seconds that the service may take to stop'},
};
type Name = keyof typeof OPTIONS;

const HELP = `Doubles pictures over HTTP: POST a PNG or JPEG to /upscale.

${Object.entries(OPTIONS)
  .map(([name, {value, help}]) => `  --${name.padEnd(10)}${help}${value && ` (${value})`}`)
  .join('\n')}`;

function fail(message: string): never {
  console.error(`error: ${message}`);
  process.exit(1);
}

function readOptions() {
  const strings = Object.fromEntries(
    Object.entries(OPTIONS).map(([name, {value}]) => [name, {type: 'string' as const, default: value}]),
  );
  const {values} = parseArgs({options: {...strings, help: {type: 'boolean' as const, default: false}}});
  if (values.help) {
    console.log(HELP);
    process.exit();
  }
  const of = (name: Name) => (values as Record<string, unknown>)[name] as string;
  const whole = (name: Name, least: number, most = Number.MAX_SAFE_INTEGER) => {
    const value = Number(of(name));
    if (of(name) === '' || !Number.isInteger(value) || value < least || value > most) {
      throw new Error(`--${name} is '${of(name)}'; it must be a whole number from ${least} to ${most}.`);
    }
    return value;
  };
  const kernels = KERNELS.find((one) => one === of('kernels')) as Kernels | undefined;
  if (kernels === undefined)
    throw new Error(`--kernels is '${of('kernels')}'; it must be one of ${KERNELS}.`);
  return {
    host: of('host'),
    port: whole('port', 0, 65535),
    graceMs: 1000 * whole('grace', 0),
    service: {
      kernels,
      threads: of('threads') === '' ? undefined : whole('threads', 1, 16),
      workers: whole('workers', 1, 64),
      queue: whole('queue', 0),
      mostBytes: whole('bytes', 1),
      mostPixels: whole('pixels', 1),
      timeoutMs: 1000 * whole('timeout', 1),
      receiveMs: 1000 * whole('timeout', 1),
    },
  };
}

let options: ReturnType<typeof readOptions>;
try {
  options = readOptions();
} catch (error) {
  fail((error as Error).message);
}
const {host, port, graceMs, service} = options;
if (service.kernels === 'native' && service.threads !== undefined) {
  // TensorFlow reads it when it is loaded.
  process.env.TF_NUM_INTRAOP_THREADS = String(service.threads);
}
const app = await createService({
  ...service,
  logLevel: process.env.LOG_LEVEL ?? 'info',
  onFailed: () => process.exit(1),
}).catch((error: Error) => fail(error.message));

let stopping = false;
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, async () => {
    if (stopping) process.exit(1);
    stopping = true;
    app.log.info(`${signal}: finishing what is being done`);
    setTimeout(() => {
      app.log.error('stopping has taken too long');
      process.exit(1);
    }, graceMs).unref();
    await app.close();
  });
}
// The log says where.
await app.listen({host, port}).catch((error: Error) => fail(error.message));
