// The register tile in plain JavaScript: MR = 3 windows times NR = 4 output
// channels. Its twelve sums are local variables, which V8 keeps in registers. Strips and
// panels are doubles, because a float would be widened again for each product.

/** Windows and output channels of a tile. */
export const MR = 3;
export const NR = 4;

/**
 * Multiplies three windows, which start at a0, a1 and a2 of the strip, by one
 * panel. Writes the sums to `sums`: [MR][NR]. A window is `segments` runs of
 * `segmentLength` values, which start `segmentStride` values apart.
 */
// biome-ignore lint/complexity/useMaxParams: an object for what stays the same made shallow tiles 3 to 7 % slower.
export function tile(
  strip: Float64Array,
  a0: number,
  a1: number,
  a2: number,
  panels: Float64Array,
  panel: number,
  segmentLength: number,
  segments: number,
  segmentStride: number,
  sums: Float64Array,
): void {
  let s00 = 0;
  let s01 = 0;
  let s02 = 0;
  let s03 = 0;
  let s10 = 0;
  let s11 = 0;
  let s12 = 0;
  let s13 = 0;
  let s20 = 0;
  let s21 = 0;
  let s22 = 0;
  let s23 = 0;
  for (let segment = 0; segment < segments; ++segment) {
    for (let k = 0; k < segmentLength; ++k) {
      const b0 = panels[panel];
      const b1 = panels[panel + 1];
      const b2 = panels[panel + 2];
      const b3 = panels[panel + 3];
      panel += NR;
      const x0 = strip[a0 + k];
      s00 += x0 * b0;
      s01 += x0 * b1;
      s02 += x0 * b2;
      s03 += x0 * b3;
      const x1 = strip[a1 + k];
      s10 += x1 * b0;
      s11 += x1 * b1;
      s12 += x1 * b2;
      s13 += x1 * b3;
      const x2 = strip[a2 + k];
      s20 += x2 * b0;
      s21 += x2 * b1;
      s22 += x2 * b2;
      s23 += x2 * b3;
    }
    a0 += segmentStride;
    a1 += segmentStride;
    a2 += segmentStride;
  }
  sums[0] = s00;
  sums[1] = s01;
  sums[2] = s02;
  sums[3] = s03;
  sums[4] = s10;
  sums[5] = s11;
  sums[6] = s12;
  sums[7] = s13;
  sums[8] = s20;
  sums[9] = s21;
  sums[10] = s22;
  sums[11] = s23;
}

/** Windows of the tile of a single output channel. */
const NARROW_MR = 8;

/**
 * Multiplies all windows of a strip by the one column of a panel. Writes a sum for each to `sums`. Windows are
 * `depth` values long and `step` values apart.
 */
export function narrowTiles(
  strip: Float64Array,
  step: number,
  windows: number,
  panel: Float64Array,
  depth: number,
  sums: Float64Array,
): void {
  let j = 0;
  for (let a = 0; j + NARROW_MR <= windows; j += NARROW_MR, a += NARROW_MR * step) {
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    let s4 = 0;
    let s5 = 0;
    let s6 = 0;
    let s7 = 0;
    for (let k = 0, at = a; k < depth; ++k, ++at) {
      const b = panel[k];
      s0 += strip[at] * b;
      s1 += strip[at + step] * b;
      s2 += strip[at + 2 * step] * b;
      s3 += strip[at + 3 * step] * b;
      s4 += strip[at + 4 * step] * b;
      s5 += strip[at + 5 * step] * b;
      s6 += strip[at + 6 * step] * b;
      s7 += strip[at + 7 * step] * b;
    }
    sums[j] = s0;
    sums[j + 1] = s1;
    sums[j + 2] = s2;
    sums[j + 3] = s3;
    sums[j + 4] = s4;
    sums[j + 5] = s5;
    sums[j + 6] = s6;
    sums[j + 7] = s7;
  }
  for (; j < windows; ++j) {
    let sum = 0;
    for (let k = 0; k < depth; ++k) sum += strip[j * step + k] * panel[k];
    sums[j] = sum;
  }
}
