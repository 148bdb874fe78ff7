// What the scenarios use of k6, remembered instead of done.
export const failed = [];

export function check(value, conditions) {
  for (const [name, holds] of Object.entries(conditions)) if (!holds(value)) failed.push(name);
}

export function sleep(seconds) {
  if (!(seconds > 0)) throw new Error(`sleep(${seconds})`);
}
