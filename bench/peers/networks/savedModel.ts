// What a SavedModel is found by, as every tool expects it.

export const SIGNATURE = 'serving_default';
export const TAG = 'serve';
