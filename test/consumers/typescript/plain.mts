// Without the DOM's library and Node's types: as an edge worker's project may be.
import {type Im2winRegistration, registerIm2win, type SlimOptions} from 'tfjs-im2win/slim';

declare const compiled: object;
const options: SlimOptions = {module: {relaxed: compiled}};
export const registration: Promise<Im2winRegistration> = registerIm2win(options);
export const status: Promise<string> = registration.then((im2win) => im2win.status());
