// As many synchronous requests every second.
import { ask, options as sized } from './lib.js';

export const options = sized(50, 120, [[1, 1]]);

export default function steady() {
  ask();
}
