// The demo page.
import chelsea from '../../super-resolution/chelsea.png?url';
import astronaut from '../pictures/astronaut.jpg?url';
import {compare} from './compare.ts';
import {byId, clearError, milliseconds, Progress, RunButton, showError} from './dom.ts';
import {readPicture} from './picture.ts';
import {hideResults, Results} from './results.ts';
import {addSlider} from './slider.ts';
import {LONGEST_SIDE, TASKS} from './tasks.ts';
import type {NetworkName} from './types.ts';

const SAMPLES: Record<NetworkName, {url: string; name: string}> = {
  superResolution: {url: chelsea, name: 'the sample, a cat'},
  pose: {url: astronaut, name: 'the sample, an astronaut'},
};

// The share of the bar that loading has.
const LOADING = 0.2;

const canvases = {
  stock: byId<HTMLCanvasElement>('canvas-stock'),
  im2win: byId<HTMLCanvasElement>('canvas-im2win'),
  original: byId<HTMLCanvasElement>('canvas-original'),
};
const stage = byId('stage');
const fewerKernels = byId<HTMLInputElement>('fewer-kernels');
const progress = new Progress();
const slider = addSlider(stage);

/** What the visitor chose; the network's sample while it is undefined. */
let own: {picture: ImageBitmap; name: string} | undefined;
/** What is on the stage. */
let picture: ImageBitmap | undefined;

function network(): NetworkName {
  return document.querySelector<HTMLInputElement>('input[name=network]:checked')?.value as NetworkName;
}

async function showPicture(): Promise<void> {
  const name = network();
  const wanted = own;
  const shown = wanted?.picture ?? (await sample(name));
  if (name !== network() || wanted !== own) return; // Another was chosen meanwhile.
  picture = shown;
  const {width, height} = picture;
  TASKS[name](picture, canvases);
  slider.hide();
  hideResults();
  const scaled = Math.max(width, height) > LONGEST_SIDE[name];
  byId('picture-name').textContent =
    `${wanted?.name ?? SAMPLES[name].name}, ${width} × ${height} pixels` +
    (scaled ? `, scaled down to ${LONGEST_SIDE[name]} on the longer side` : '');
  byId('use-sample').hidden = wanted === undefined;
}

async function sample(name: NetworkName): Promise<ImageBitmap> {
  const response = await fetch(SAMPLES[name].url);
  if (!response.ok) throw new Error(`The sample could not be loaded: status ${response.status}.`);
  return readPicture(await response.blob(), SAMPLES[name].name);
}

async function take(file: File | undefined): Promise<void> {
  if (file === undefined) return;
  clearError();
  try {
    const chosen = await readPicture(file, file.name);
    button.cancel();
    own = {picture: chosen, name: file.name};
    await showPicture();
    progress.announce(`Picture taken: ${file.name}.`);
  } catch (error) {
    showError(error);
  }
}

const button = new RunButton(async (signal) => {
  await ready;
  if (picture === undefined) return;
  const name = network();
  const task = TASKS[name](picture, canvases);
  const results = new Results(task);
  slider.hide();
  hideResults();
  progress.start('Loading the network…');
  progress.announce('Loading the network.');
  try {
    await compare({
      network: name,
      fewerKernels: fewerKernels.checked,
      pictures: task.inputs,
      signal,
      onLoading: (share) =>
        progress.show(LOADING * share, `Loading the network: ${Math.round(100 * share)} %`),
      onReady({tfjs, simd}) {
        progress.announce('The network is loaded. Running.');
        byId('environment').textContent = `tfjs ${tfjs}, wasm backend, ${simd} SIMD.`;
        slider.show(task.description);
      },
      onRun(index, run) {
        task.draw(index, run);
        results.add(run);
        results.show();
        const done = index + 1;
        const of = task.inputs.length;
        progress.show(
          LOADING + (1 - LOADING) * (done / of),
          `Running: ${task.unit.one} ${done} of ${of}, stock ${milliseconds(run.stock.milliseconds)}, ` +
            `im2win ${milliseconds(run.im2win.milliseconds)}`,
        );
      },
    });
    results.finish();
    progress.announce(`Done. ${task.outcome()} ${results.speedup.toFixed(1)} times as fast with im2win.`);
  } catch (error) {
    // An error announces itself.
    progress.announce(signal.aborted ? 'Cancelled.' : '');
    if (signal.aborted) results.cancelled();
    throw error;
  } finally {
    progress.end();
  }
});

function whenChosen(): void {
  button.cancel();
  clearError();
  ready = showPicture().catch(showError);
}

for (const radio of document.querySelectorAll('input[name=network]')) {
  radio.addEventListener('change', whenChosen);
}
fewerKernels.addEventListener('change', whenChosen);
const file = byId<HTMLInputElement>('file');
file.addEventListener('change', () => take(file.files?.[0]));
// Otherwise the same file could not be chosen again.
file.addEventListener('click', () => {
  file.value = '';
});
byId('use-sample').addEventListener('click', () => {
  own = undefined;
  file.value = '';
  whenChosen();
  file.focus();
});

// A picture may be dropped anywhere.
addEventListener('dragover', (event) => {
  event.preventDefault();
  stage.classList.add('dropping');
});
addEventListener('dragleave', ({relatedTarget}) => {
  if (relatedTarget === null) stage.classList.remove('dropping');
});
addEventListener('drop', (event) => {
  event.preventDefault();
  stage.classList.remove('dropping');
  void take(event.dataTransfer?.files[0]);
});

let ready = showPicture().catch(showError);
