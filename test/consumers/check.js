// What each consumer computes, by im2win and by stock. Has no imports, so that every kind of project can take it.

/**
 * @param tf The consumer's tfjs, with that backend.
 * @param register Returns a promise of im2win's registration.
 */
export async function compare(tf, register, backend = 'wasm') {
  const controls = watchWorkers();
  // On wasm threads need a heap that is shared as the backend starts.
  const registration = await register();
  if (!(await tf.setBackend(backend))) throw new Error(`tfjs has no ${backend} backend here.`);
  const x = tf.randomUniform([1, 20, 21, 16], -1, 1, 'float32', 1);
  const filter = tf.randomUniform([3, 3, 16, 24], -1, 1, 'float32', 2);
  const bias = tf.randomUniform([24], -1, 1, 'float32', 3);
  const small = tf.randomUniform([5, 5, 16, 8], -1, 1, 'float32', 4);
  const taps = tf.randomUniform([3, 3, 16, 1], -1, 1, 'float32', 5);
  const compute = () =>
    tf.tidy(() =>
      [
        tf.fused.conv2d({x, filter, bias, strides: 1, pad: 'same', activation: 'relu'}),
        tf.conv2d(x, small, 2, 'valid'),
        tf.depthwiseConv2d(x, taps, 1, 'same'),
      ].map((tensor) => tensor.dataSync()),
    );
  const ours = compute();
  const report = registration.report();
  const threads = await tryThreads(tf, registration, controls);
  registration.unregister();
  const stock = compute();
  return {
    simd: registration.simd,
    threads,
    taken: report.map(({kernelName, algorithm}) => `${kernelName} by ${algorithm}`),
    largestValue: Math.max(...stock.flatMap((values) => Array.from(values, Math.abs))),
    largestDifference: Math.max(
      ...stock.flatMap((values, i) => Array.from(values, (value, j) => Math.abs(value - ours[i][j]))),
    ),
  };
}

/** The control blocks of im2win's workers, as they are started by Node's API or a browser's. */
function watchWorkers() {
  const controls = [];
  const note = (data) => data?.control !== undefined && controls.push(data.control);
  const node = globalThis.process?.getBuiltinModule?.('node:worker_threads');
  if (node !== undefined) {
    node.Worker = class extends node.Worker {
      constructor(script, options) {
        super(script, options);
        note(options?.workerData);
      }
    };
  } else if (globalThis.Worker !== undefined) {
    const {postMessage} = Worker.prototype;
    Worker.prototype.postMessage = function (data, ...rest) {
      note(data);
      postMessage.call(this, data, ...rest);
    };
  }
  return controls;
}

/** Convolves until a worker has computed something, for ten seconds at most. */
async function tryThreads(tf, registration, controls) {
  const x = tf.randomUniform([1, 40, 41, 64], -1, 1, 'float32', 6);
  const filter = tf.randomUniform([3, 3, 64, 64], -1, 1, 'float32', 7);
  const compute = () => tf.tidy(() => tf.conv2d(x, filter, 1, 'same').dataSync());
  const {numThreads} = registration;
  if (numThreads > 1) registration.setNumThreads(1);
  const serial = compute();
  if (numThreads > 1) registration.setNumThreads(numThreads);
  let workersComputed = false;
  let sameBits = true;
  for (let i = 0; i < 500 && registration.numThreads > 1 && !workersComputed; ++i) {
    sameBits = sameBits && compute().every((value, j) => Object.is(value, serial[j]));
    workersComputed = controls.some((control) => Atomics.load(control, 16) > 0);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return {count: registration.numThreads, reason: registration.whyOneThread, workersComputed, sameBits};
}

/** The registration that an import made: im2win's own kernel comes without a call. */
export async function registeredByImport(tf, registerIm2win) {
  for (let wait = 0; tf.getKernel('Im2winConv2D', 'wasm') === undefined; wait += 10) {
    if (wait > 5000) throw new Error("import 'tfjs-im2win/auto' has registered nothing.");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return registerIm2win();
}
