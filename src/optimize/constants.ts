// What is computed of weights once: each result is kept, and made once however many graphs need it.
import {type DataId, engine, keep, type Tensor, tensor, tidy} from '@tensorflow/tfjs-core';
import {Value} from './graph.ts';

export class Constants {
  private readonly kept = new Map<string, Value>();
  private readonly numbers = new WeakMap<DataId, number>();
  private next = 0;

  /**
   * @param name What is computed, with all that it depends on beside the tensors.
   * @param of The constants that it is computed of.
   * @param compute In doubles, of their values.
   */
  get(
    name: string,
    of: readonly Value[],
    shape: readonly number[],
    compute: (...values: ArrayLike<number>[]) => ArrayLike<number>,
  ): Value {
    const key = `${name}:${of.map((value) => this.numberOf(value)).join()}:${shape.join()}`;
    const known = this.kept.get(key);
    if (known !== undefined) return known;
    const computed = compute(...of.map(valuesOf));
    const values = computed instanceof Float32Array ? computed : new Float32Array(computed);
    // What kernels have kept beside it, such as a packed filter, is of no more use: it goes with the data, and the data comes back.
    const {backend} = engine();
    engine().moveData(backend, (of[0].constant as Tensor).dataId);
    const made = tidy(() => keep(tensor(values, [...shape], 'float32')));
    const value = new Value(shape, 'float32', {tensor: made, name: of[0]?.name});
    this.kept.set(key, value);
    return value;
  }

  release(): void {
    for (const {constant} of this.kept.values()) constant?.dispose();
    this.kept.clear();
  }

  private numberOf({constant}: Value): number {
    const {dataId} = constant as Tensor;
    const known = this.numbers.get(dataId) ?? ++this.next;
    this.numbers.set(dataId, known);
    return known;
  }
}

/** The values of a constant. */
export function valuesOf({constant}: Value): ArrayLike<number> {
  return (constant as Tensor).dataSync();
}

/** The value of a constant that has just one. */
export function scalarOf(value: Value | undefined): number | undefined {
  if (value?.constant === undefined || value.constant.size !== 1) return undefined;
  return value.constant.dataSync()[0];
}
