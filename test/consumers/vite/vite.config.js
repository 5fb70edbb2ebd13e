import {defineConfig} from 'vite';

export default defineConfig({
  build: {
    outDir: 'site',
    rolldownOptions: {input: ['main.html', 'auto.html', 'slim.html', 'threads.html', 'nothing.html']},
  },
});
