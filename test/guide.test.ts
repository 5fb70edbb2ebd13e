// The guide's TypeScript, as a reader pastes it.
import {readFileSync} from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

const ROOT = path.join(__dirname, '..');
const guide = readFileSync(path.join(ROOT, 'docs/guide.md'), 'utf8');

/** What the compiler says of code that stands in the folder of the tests. */
function complaints(code: string): string[] {
  const file = path.join(ROOT, 'test/pasted.ts');
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'],
    types: [],
    strict: true,
    skipLibCheck: true,
    noEmit: true,
  };
  const host = ts.createCompilerHost(options);
  const {fileExists, getSourceFile} = host;
  host.fileExists = (name) => name === file || fileExists(name);
  host.getSourceFile = (name, ...others) =>
    name === file
      ? ts.createSourceFile(name, code, options.target as ts.ScriptTarget)
      : getSourceFile(name, ...others);
  return ts
    .getPreEmitDiagnostics(ts.createProgram([file], options, host))
    .map(({messageText}) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

test.each([
  ['@tensorflow/tfjs-layers', 'LayersModel'],
  ['@tensorflow/tfjs-converter', 'GraphModel'],
])('the timing of a model, for %s', (from, model) => {
  const [timing] = guide.split('## Is it worth it for my model?\n\n```ts\n')[1].split('```');
  const code = `
    import * as tf from '@tensorflow/tfjs-core';
    import type {Im2winRegistration} from 'tfjs-im2win';
    import type {${model}} from '${from}';
    declare const im2win: Im2winRegistration;
    declare const input: tf.Tensor;
    declare const model: ${model};
    ${timing}`;
  expect(complaints(code)).toEqual([]);
  expect(complaints(code.replace(' as tf.Tensor', ''))).not.toEqual([]);
});
