// Quiet, then ten times as many at once, four times over.
import { ask, oneOf, options as sized, submit } from './lib.js';

const TURN = [[0.2, 0.1], [0.05, 1]];
export const options = sized(200, 120, [...TURN, ...TURN, ...TURN, ...TURN]);

export default function burst() {
  oneOf([[ask, 1], [submit, 3]]);
}
