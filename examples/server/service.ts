// The service: a file comes in, a worker doubles the picture, a PNG goes out.
import {readFile} from 'node:fs/promises';
import multipart from '@fastify/multipart';
import Fastify, {type FastifyError, type FastifyReply, type FastifyRequest} from 'fastify';
import {createMetrics} from './metrics.ts';
import {Pool, type PoolOptions} from './pool.ts';
import {Refusal} from './refusal.ts';

export interface ServiceOptions extends Omit<PoolOptions, 'onReplaced' | 'onFailed'> {
  /** How many pictures may wait for a worker. */
  readonly queue: number;
  /** The largest file. */
  readonly mostBytes: number;
  /** How long a client may take to send its request. */
  readonly receiveMs: number;
  /** As pino names them; 'silent' for none. */
  readonly logLevel: string;
  /** Called when the service cannot go on. */
  onFailed(): void;
}

const RAW_TYPES = ['image/png', 'image/jpeg', 'application/octet-stream'];
// What multipart/form-data has around a file, at most.
const FORM_BYTES = 4096;
const PAGE_HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src blob:; connect-src 'self'; " +
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
};

/** Everything is ready when this returns, but nothing listens yet. `close` finishes what is being done. */
export async function createService(options: ServiceOptions) {
  const {queue, mostBytes, workers} = options;
  const pool = await Pool.start({
    ...options,
    onReplaced(reason) {
      metrics.workersReplaced.inc();
      app.log.error(reason, 'a worker is replaced');
    },
    onFailed(reason) {
      app.log.fatal(reason, 'no worker can be started');
      options.onFailed();
    },
  });
  // A request has its place from its first byte on. That bounds what bodies take, as well as the queue.
  const places = workers + queue;
  let taken = 0;
  let stopping = false;
  const metrics = createMetrics(pool.description, {places: () => taken, waiting: () => pool.waiting});
  const app = Fastify({
    logger: {level: options.logLevel},
    bodyLimit: mostBytes,
    requestTimeout: options.receiveMs,
    http: {headersTimeout: options.receiveMs, connectionsCheckingInterval: 1000},
  });
  // Fastify's own, for JSON and text.
  app.removeAllContentTypeParsers();
  await app.register(multipart, {
    limits: {fileSize: mostBytes, files: 1, fields: 4, fieldSize: FORM_BYTES, parts: 5},
  });
  app.addContentTypeParser(RAW_TYPES, {parseAs: 'buffer'}, (_, body, done) => done(null, body));

  /** Before the body is read. */
  const admit = async (request: FastifyRequest, reply: FastifyReply) => {
    const length = Number(request.headers['content-length'] ?? 0);
    const allowed = mostBytes + (request.isMultipart() ? FORM_BYTES : 0);
    if (length > allowed) throw tooLarge(mostBytes);
    if (taken >= places) {
      // What waits now will be done then, at the pace of the pictures so far.
      reply.header('retry-after', Math.max(1, Math.ceil((taken * meanSeconds) / workers)));
      throw new Refusal(503, `All ${places} places are taken. Try again later.`);
    }
    ++taken;
    // However it ends: answered, or given up by the client.
    reply.raw.once('close', () => --taken);
  };
  let meanSeconds = 0.1;

  app.post('/upscale', {onRequest: admit}, async (request, reply) => {
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    const file = await receive(request);
    const start = performance.now();
    const {png, seconds} = await pool.run(file, gone.signal);
    const computed = seconds.decode + seconds.network + seconds.encode;
    meanSeconds += 0.1 * (computed - meanSeconds);
    const all = {queue: (performance.now() - start) / 1000 - computed, ...seconds};
    for (const [stage, value] of Object.entries(all)) metrics.stages.observe({stage}, value);
    return reply
      .type('image/png')
      .header('cache-control', 'no-store')
      .header(
        'server-timing',
        Object.entries(all)
          .map(([stage, value]) => `${stage};dur=${(1000 * value).toFixed(1)}`)
          .join(', '),
      )
      .send(Buffer.from(png.buffer, png.byteOffset, png.byteLength));
  });

  app.get('/healthz', async () => ({
    status: 'ok',
    ...pool.description,
    workers,
    places: {taken, all: places},
  }));
  app.get('/metrics', async (_, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );
  for (const [path, file, type] of [
    ['/', 'page.html', 'text/html; charset=utf-8'],
    ['/page.js', 'page.js', 'text/javascript; charset=utf-8'],
  ]) {
    const text = await readFile(new URL(file, import.meta.url), 'utf8');
    app.get(path, async (_, reply) => reply.type(type).headers(PAGE_HEADERS).send(text));
  }

  app.addHook('onSend', async (_, reply) => {
    reply.header('x-content-type-options', 'nosniff');
    // A connection that is kept would keep the service from ending.
    if (stopping) reply.header('connection', 'close');
  });
  app.addHook('onResponse', async (request, reply) => {
    // Not the URL, of which there is no end.
    const route = request.routeOptions.url ?? 'none';
    metrics.requests.observe({route, status: reply.statusCode}, reply.elapsedTime / 1000);
  });
  app.addHook('preClose', () => {
    stopping = true;
  });
  app.addHook('onClose', () => pool.close());
  app.setNotFoundHandler((_, reply) => reply.code(404).send({error: 'There is nothing here.'}));
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const {statusCode, message} = saidOf(error, mostBytes);
    if (statusCode >= 500 && !(error instanceof Refusal)) request.log.error(error);
    reply.code(statusCode).send({error: message});
  });
  return app;
}

async function receive(request: FastifyRequest): Promise<Uint8Array> {
  if (!request.isMultipart()) {
    if (!Buffer.isBuffer(request.body) || request.body.length === 0) {
      throw new Refusal(400, 'There is no file in the request.');
    }
    return request.body;
  }
  const file = await fileOf(request);
  if (file === undefined || file.length === 0) throw new Refusal(400, 'There is no file in the form.');
  return file;
}

async function fileOf(request: FastifyRequest): Promise<Uint8Array | undefined> {
  try {
    return await (await request.file())?.toBuffer();
  } catch (error) {
    const {statusCode = 500, message} = error as FastifyError;
    if (statusCode < 500) throw error;
    // What is not put in the client's words comes from the parser.
    throw new Refusal(400, `The form cannot be read: ${message}.`);
  }
}

const tooLarge = (mostBytes: number) => new Refusal(413, `A file may have ${mostBytes} bytes.`);

/** What the client is told. */
function saidOf(error: FastifyError, mostBytes: number): {statusCode: number; message: string} {
  if (error instanceof Refusal) return error;
  const {statusCode = 500, message} = error;
  if (statusCode === 413) return tooLarge(mostBytes);
  if (statusCode === 415) {
    return {
      statusCode,
      message: `The body must be multipart/form-data with a file, or ${RAW_TYPES.join(' or ')}.`,
    };
  }
  if (statusCode < 500) return {statusCode, message};
  return {statusCode, message: 'The server has failed; its log says why.'};
}
