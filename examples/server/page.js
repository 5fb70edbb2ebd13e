// The page: sends a picture to the service, and shows it beside its answer.
const MOST_PIXELS = 512 * 512;

const label = document.querySelector('label');
const input = document.querySelector('input');
const status = document.querySelector('[role=status]');
const pictures = document.querySelector('#pictures');
document.querySelector('#origin').textContent = location.origin;

/** Scaled down where it is too large, as a PNG. A small one goes as it is. */
async function fitting(file) {
  // As it is to be seen: a camera may have been held sideways.
  const bitmap = await createImageBitmap(file, {imageOrientation: 'from-image'});
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (bitmap.width * bitmap.height)));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.floor(scale * bitmap.width));
  canvas.height = Math.max(1, Math.floor(scale * bitmap.height));
  const context = canvas.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
}

function show(id, blob, caption) {
  const image = document.querySelector(`#${id}`);
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(blob);
  image.nextElementSibling.textContent = caption;
}

function say(text, wrong = false) {
  status.textContent = text;
  status.classList.toggle('error', wrong);
}

let latest = 0;

async function upscale(file) {
  const own = ++latest;
  say('The server is computing …');
  try {
    const picture = await fitting(file).catch(() => {
      throw new Error('The browser cannot read this file as a picture.');
    });
    const body = new FormData();
    body.append('image', picture, 'picture.png');
    const start = performance.now();
    const response = await fetch('/upscale', {method: 'POST', body});
    if (!response.ok) throw new Error((await response.json()).error);
    const doubled = await response.blob();
    // Another file may have been chosen meanwhile.
    if (own !== latest) return;
    const network = response.headers.get('server-timing')?.match(/network;dur=([\d.]+)/)?.[1];
    show('before', picture, 'As sent, enlarged by the browser');
    show('after', doubled, 'Doubled by the network');
    pictures.hidden = false;
    say(
      `Done in ${Math.round(performance.now() - start)} ms, of which the network took ${Math.round(network)} ms.`,
    );
  } catch (error) {
    if (own === latest) say(error.message, true);
  }
}

input.addEventListener('change', () => input.files[0] && upscale(input.files[0]));
for (const kind of ['dragover', 'dragleave', 'drop']) {
  label.addEventListener(kind, (event) => {
    event.preventDefault();
    label.classList.toggle('over', kind === 'dragover');
    if (kind === 'drop' && event.dataTransfer.files[0]) upscale(event.dataTransfer.files[0]);
  });
}
