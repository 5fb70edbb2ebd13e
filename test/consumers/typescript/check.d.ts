import type * as tf from '@tensorflow/tfjs-core';
import type {Im2winRegistration} from 'tfjs-im2win';

export function compare(
  tfjs: typeof tf,
  register: () => Promise<Im2winRegistration>,
): Promise<Record<string, unknown>>;
