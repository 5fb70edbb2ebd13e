// Many requests, a few at a time: what came back, and how long each took.

export interface Answered {
  readonly status: number;
  readonly body: Uint8Array;
  readonly retryAfter: string | null;
  readonly milliseconds: number;
}

/** @param files Sent in turn. */
export async function sendMany(
  url: string,
  files: readonly Uint8Array[],
  {requests, atATime}: {requests: number; atATime: number},
): Promise<Answered[]> {
  const answers: Answered[] = [];
  let next = 0;
  const client = async () => {
    while (next < requests) {
      const number = next++;
      answers[number] = await send(url, files[number % files.length]);
    }
  };
  await Promise.all(Array.from({length: atATime}, client));
  return answers;
}

export async function send(
  url: string,
  body: Uint8Array | string | FormData,
  headers: Record<string, string> = body instanceof Uint8Array
    ? {'content-type': 'application/octet-stream'}
    : {},
): Promise<Answered> {
  const start = performance.now();
  const response = await fetch(url, {method: 'POST', body: body as BodyInit, headers});
  return {
    status: response.status,
    body: new Uint8Array(await response.arrayBuffer()),
    retryAfter: response.headers.get('retry-after'),
    milliseconds: performance.now() - start,
  };
}

/** One of the service's metrics, by its name with labels. */
export async function metric(origin: string, name: string): Promise<number | undefined> {
  const text = await (await fetch(`${origin}/metrics`)).text();
  const line = text.split('\n').find((one) => one.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length));
}

/** The least value that so many hundredths of all are no larger than. */
export function percentile(values: readonly number[], hundredths: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((hundredths / 100) * sorted.length) - 1)];
}
