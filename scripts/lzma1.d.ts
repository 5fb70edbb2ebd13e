// What is used of lzma1. Its own types are its sources, which our compiler's options refuse.
export function compress(data: Uint8Array, mode: 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9): Uint8Array<ArrayBuffer>;
