import 'tfjs-im2win';

document.title = 'nothing';
