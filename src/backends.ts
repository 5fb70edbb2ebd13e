import type {Backend} from './backend.ts';
import {CPU} from './cpu/backend.ts';
import {WASM} from './wasm/backend.ts';

/** The backends that can be served, the better one first. */
export const BACKENDS: readonly Backend[] = [WASM, CPU];
