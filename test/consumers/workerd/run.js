// A worker, by its name, and what it answers.
import {Miniflare} from 'miniflare';

const miniflare = new Miniflare({
  scriptPath: `site/${process.argv[2]}`,
  modules: true,
  modulesRules: [
    {type: 'ESModule', include: ['**/*.js']},
    {type: 'CompiledWasm', include: ['**/*.wasm']},
  ],
  compatibilityDate: '2026-07-01',
});
try {
  console.log(await (await miniflare.dispatchFetch('http://worker/')).text());
} finally {
  await miniflare.dispose();
}
