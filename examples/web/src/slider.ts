// The before/after slider: a range input that lies over stacked canvases. What is on its left can be chosen.
import {byId} from './dom.ts';

export interface Slider {
  /** @param description Of the picture, for who cannot see it. */
  show(description: string): void;
  hide(): void;
}

export function addSlider(stage: HTMLElement): Slider {
  const range = byId<HTMLInputElement>('split');
  const left = byId<HTMLSelectElement>('left');
  const update = () => {
    const name = left.selectedOptions[0].text;
    byId('canvas-stock').hidden = left.value !== 'stock';
    byId('canvas-original').hidden = left.value !== 'original';
    byId('left-tag').textContent = name;
    stage.style.setProperty('--split', `${range.value}%`);
    range.setAttribute('aria-valuetext', `left ${range.value} % ${name}, the rest im2win`);
  };
  range.addEventListener('input', update);
  left.addEventListener('change', update);
  update();
  const setShown = (shown: boolean) => {
    stage.classList.toggle('compared', shown);
    range.hidden = !shown;
    byId('left-choice').hidden = !shown;
  };
  return {
    show(description) {
      byId('canvas-im2win').setAttribute('aria-label', description);
      setShown(true);
    },
    hide() {
      byId('canvas-im2win').setAttribute('aria-label', 'The picture, before the run.');
      setShown(false);
    },
  };
}
