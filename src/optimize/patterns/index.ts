// All patterns: each list is tried until nothing fits any more, in its order at each node.
import type {Pattern} from '../pattern.ts';
import {activation} from './activation.ts';
import {affineAfter} from './affineAfter.ts';
import {affineBefore} from './affineBefore.ts';
import {copies} from './copies.ts';
import {dilation} from './dilation.ts';
import {excite} from './excite.ts';
import {gelu} from './gelu.ts';
import {hardSwish} from './hardSwish.ts';
import {transposesBefore, transposesBehind} from './layout.ts';
import {padding} from './padding.ts';
import {residual} from './residual.ts';
import {silu} from './silu.ts';
import {transposes} from './transposes.ts';

export const PATTERNS: readonly (readonly Pattern[])[] = [
  [
    copies,
    transposes,
    transposesBehind,
    transposesBefore,
    dilation,
    padding,
    affineAfter,
    affineBefore,
    silu,
    hardSwish,
    gelu,
    activation,
    residual,
  ],
  [excite],
];
