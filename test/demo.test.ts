// What the demo's verdict rests on.
import {difference, median} from '../examples/super-resolution/statistics.ts';

test('the difference of two outputs', () => {
  const of = (a: number[], b: number[]) => difference(Float32Array.from(a), Float32Array.from(b));
  expect(of([1, -4, 3], [1, -2, 3])).toEqual({largest: 2, scale: 4});
  expect(of([1, 2, 3], [1, Number.NaN, 3]).largest).toBeNaN();
  expect(of([1, Number.NaN, 3], [1, 2, 9]).largest).toBeNaN();
  expect(() => of([1, 2], [1])).toThrow('2 and 1 values');
});

test('the median', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
});
