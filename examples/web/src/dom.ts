// Small things that both pages need of the document.

export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`The page has no element '${id}'.`);
  return element as T;
}

/** An element with text or children. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A table's cell with a number, and a bar as long as its share of the largest. */
export function barCell(text: string, share: number, kind: string): HTMLTableCellElement {
  const bar = make('span', {class: `bar ${kind}`, 'aria-hidden': 'true'});
  bar.style.setProperty('--share', String(Number.isFinite(share) ? Math.min(1, share) : 0));
  return make('td', {class: 'measure'}, make('span', {}, bar, make('span', {}, text)));
}

/** A table's cell with a ratio, and the interval that it lies in. */
export function ratioCell(ratio: number, interval?: {low: number; high: number}): HTMLTableCellElement {
  const range =
    interval === undefined
      ? []
      : [make('span', {class: 'range'}, `${interval.low.toFixed(2)}–${interval.high.toFixed(2)}`)];
  return make('td', {class: 'number'}, times(ratio), ...range);
}

export const headerCell = (...children: (Node | string)[]) => make('th', {scope: 'row'}, ...children);

export const milliseconds = (value: number) =>
  value >= 1000 ? `${(value / 1000).toFixed(2)} s` : `${value.toFixed(value < 10 ? 2 : 1)} ms`;
export const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
export const times = (ratio: number) => `${ratio.toFixed(2)}×`;

/** A number as people write it, for differences of 10⁻⁶ or so. */
export function small(value: number): string {
  if (value === 0) return '0';
  const [digits, exponent] = value.toExponential(1).split('e');
  return `${digits} · 10${Array.from(String(Number(exponent)), (digit) => SUPERSCRIPTS[digit]).join('')}`;
}
const SUPERSCRIPTS: Record<string, string> = {
  '-': '⁻',
  0: '⁰',
  1: '¹',
  2: '²',
  3: '³',
  4: '⁴',
  5: '⁵',
  6: '⁶',
  7: '⁷',
  8: '⁸',
  9: '⁹',
};

/** The progress bar, its text, and what is told of it to a screen reader: each stage, and not each step. */
export class Progress {
  private readonly bar = byId<HTMLProgressElement>('progress');
  private readonly text = byId('progress-text');
  private readonly announcement = byId('announcement');
  private readonly area = byId('progress-area');

  start(text: string): void {
    this.area.hidden = false;
    this.bar.value = 0;
    this.text.textContent = text;
  }

  /** Ignored if it is late: what a worker tells of its progress can come after its result. */
  show(share: number, text: string): void {
    if (this.area.hidden || share < this.bar.value) return;
    this.bar.value = share;
    this.text.textContent = text;
  }

  announce(text: string): void {
    this.announcement.textContent = text;
  }

  end(): void {
    this.area.hidden = true;
  }
}

export function showError(error: unknown): void {
  byId('error').textContent = error instanceof Error ? error.message : String(error);
  byId('error').hidden = false;
}

export function clearError(): void {
  byId('error').textContent = '';
  byId('error').hidden = true;
}

/** A button that runs something, and while it runs cancels it. */
export class RunButton {
  private readonly button = byId<HTMLButtonElement>('run');
  private readonly label = this.button.textContent ?? '';
  private running: AbortController | undefined;

  /** @param work Gets a signal that is aborted when the visitor cancels; what it throws is shown. */
  constructor(work: (signal: AbortSignal) => Promise<void>) {
    this.button.addEventListener('click', async () => {
      if (this.running !== undefined) {
        this.running.abort(new Cancelled());
        return;
      }
      clearError();
      this.running = new AbortController();
      this.button.textContent = 'Cancel';
      this.button.classList.add('running');
      try {
        await work(this.running.signal);
      } catch (error) {
        if (!(error instanceof Cancelled)) showError(error);
      } finally {
        this.running = undefined;
        this.button.textContent = this.label;
        this.button.classList.remove('running');
      }
    });
  }

  cancel(): void {
    this.running?.abort(new Cancelled());
  }
}

export class Cancelled extends Error {}
