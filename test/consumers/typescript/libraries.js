// With skipLibCheck off tfjs's own declarations do not pass, nor beside them TypeScript's (WebGPU is
// declared by both); those of tfjs-im2win must.
import {spawnSync} from 'node:child_process';

for (const project of ['tsconfig.node16.json', 'tsconfig.bundler.json', 'tsconfig.plain.json']) {
  const args = [
    'node_modules/typescript/bin/tsc',
    '-p',
    project,
    '--skipLibCheck',
    'false',
    '--noEmit',
    '--pretty',
    'false',
  ];
  const {stdout} = spawnSync(process.execPath, args, {encoding: 'utf8'});
  const errors = stdout.split('\n').filter((line) => line.includes('error TS'));
  const others = errors.filter((line) => !/^node_modules\/(@tensorflow|@webgpu|typescript)\//.test(line));
  if (others.length > 0) {
    console.error(`${project}:\n${others.join('\n')}`);
    process.exitCode = 1;
  }
}
