// What optimizeModel made of the network, as the demo shows it.
import type {ModelChange} from 'tfjs-im2win/optimize';
import {byId, headerCell, make} from './dom.ts';
import type {Each, Optimized} from './types.ts';

/** Of the places of equal changes. */
const PLACES_SHOWN = 4;

/** @param kernels How many each has run. */
export function showChanges(optimized: Optimized | undefined, kernels: Each<number>): void {
  byId('changes').hidden = optimized === undefined;
  if (optimized === undefined) return;
  const {changes, reasons} = optimized;
  byId('changes-title').textContent =
    changes.length === 0
      ? 'Fewer kernels: nothing was changed'
      : `Fewer kernels: ${kernels.im2win} in place of ${kernels.stock}, by ${changes.length} changes`;
  byId('change-table').hidden = changes.length === 0;
  byId('change-rows').replaceChildren(...changeRows(changes));
  byId('change-reasons').replaceChildren(
    ...reasons.map((reason) => make('p', {class: 'note'}, `The network runs as it was loaded: ${reason}.`)),
  );
}

/** A row for the changes that differ only in where they are. */
function changeRows(changes: readonly ModelChange[]): HTMLTableRowElement[] {
  const groups = new Map<string, ModelChange[]>();
  for (const change of changes) {
    const key = [change.pattern, change.was, change.now].join('|');
    groups.set(key, [...(groups.get(key) ?? []), change]);
  }
  return [...groups.values()].map((group) => {
    const [{pattern, was, now}] = group;
    return make(
      'tr',
      {},
      headerCell(pattern),
      make('td', {}, was),
      make('td', {}, now || 'nothing'),
      make('td', {class: 'number'}, String(group.length)),
      make('td', {class: 'where'}, places(group)),
    );
  });
}

function places(group: readonly ModelChange[]): string {
  const shown = group.slice(0, PLACES_SHOWN).map(({where}) => lastParts(where));
  const more = group.length - shown.length;
  return shown.join(', ') + (more === 0 ? '' : ` and ${more} more`);
}

/** Weights have paths, which begin alike. */
const lastParts = (where: string) => where.split('/').slice(-3).join('/');
