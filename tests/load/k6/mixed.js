// Everything: synchronous, async, streams, repeats, batches, poison.
import { EVERYTHING, oneOf, options as sized } from './lib.js';

export const options = sized(50, 300, [[1, 1]]);

export default function mixed() {
  oneOf(EVERYTHING);
}
