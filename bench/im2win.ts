// The built package, for code in a folder with a package.json of its own: there its name means nothing.
export {registerIm2win} from 'tfjs-im2win';
export {optimizeModel} from 'tfjs-im2win/optimize';
