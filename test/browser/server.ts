// Folders served to a browser, with the headers that a page is to have.
import {readFile} from 'node:fs/promises';
import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';
import path from 'node:path';

const TYPES: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.jpg': 'image/jpeg',
  '.js': 'text/javascript; charset=utf-8',
  '.png': 'image/png',
  '.wasm': 'application/wasm',
};

export interface Server {
  /** `http://127.0.0.1:port`. */
  readonly origin: string;
  close(): void;
}

/**
 * @param mounts The first parts of paths, each with its folder, the longer ones first; or with the text of a file.
 */
export async function serve(
  mounts: Readonly<Record<string, string | {readonly text: string}>>,
  headersOf: (path: string) => Readonly<Record<string, string>>,
): Promise<Server> {
  const read = (url: string) => {
    for (const [prefix, from] of Object.entries(mounts)) {
      if (!url.startsWith(prefix)) continue;
      return typeof from === 'string' ? readFile(path.join(from, url.slice(prefix.length))) : from.text;
    }
    throw new Error(`no folder has ${url}`);
  };
  const server = createServer(async (request, response) => {
    const {pathname} = new URL(request.url ?? '/', 'http://server');
    const headers = headersOf(pathname);
    try {
      const contents = await read(path.posix.normalize(pathname));
      response.writeHead(200, {...headers, 'Content-Type': TYPES[path.extname(pathname)] ?? 'text/plain'});
      response.end(contents);
    } catch {
      response.writeHead(404, headers).end();
    }
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
