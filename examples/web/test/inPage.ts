// Runs in a page, by whatever drives it: a function here refers to nothing outside of itself.

/** How the pixels of two canvases differ, by their ids. */
export function canvasDifference(ids: readonly [string, string]): {largest: number; differing: number} {
  const [one, other] = ids.map((id) => {
    const canvas = document.getElementById(id) as HTMLCanvasElement;
    const context = canvas.getContext('2d') as CanvasRenderingContext2D;
    return context.getImageData(0, 0, canvas.width, canvas.height).data;
  });
  let largest = 0;
  let differing = 0;
  one.forEach((value, i) => {
    const difference = Math.abs(value - other[i]);
    largest = Math.max(largest, difference);
    if (difference > 1) ++differing;
  });
  return {largest, differing};
}

/** The text of each cell of the table whose caption begins so. */
export function tableRows(caption: string): string[][] {
  const table = [...document.querySelectorAll('table')].find((one) =>
    one.caption?.innerText.startsWith(caption),
  );
  const rows = [...(table?.tBodies[0].rows ?? [])];
  return rows.map(({cells}) => [...cells].map(({innerText}) => innerText));
}

/** Waits until an element's text matches, or for the error that the page shows. */
export async function shown({id, pattern}: {id: string; pattern: string}): Promise<string> {
  const error = document.getElementById('error') as HTMLElement;
  for (const start = performance.now(); performance.now() - start < 60_000; ) {
    if (!error.hidden) throw new Error(`the page says: ${error.innerText}`);
    const text = document.getElementById(id)?.textContent ?? '';
    if (new RegExp(pattern).test(text)) return text;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`#${id} is “${document.getElementById(id)?.textContent}”, and not like ${pattern}.`);
}
