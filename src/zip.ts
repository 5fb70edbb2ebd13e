// Several tensors of one shape, value by value.

export interface Zip {
  /** `sum` of floats; `select` takes the second's or the third's values, as the first says: of four bytes, or of one. */
  readonly op: 'sum' | 'select' | 'selectBytes';
  readonly count: number;
  readonly sources: number;
}
