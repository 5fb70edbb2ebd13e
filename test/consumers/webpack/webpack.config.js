export default {
  mode: 'production',
  entry: {
    main: './main.js',
    auto: './auto.js',
    slim: './slim.js',
    threads: './threads.js',
    nothing: './nothing.js',
  },
  output: {path: `${import.meta.dirname}/site`, publicPath: 'auto'},
  performance: {hints: false},
};
