// Everything, for long.
import { EVERYTHING, oneOf, options as sized } from './lib.js';

export const options = sized(20, 1800, [[1, 1]]);

export default function soak() {
  oneOf(EVERYTHING);
}
