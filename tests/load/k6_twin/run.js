// Imports the scenarios beside it, runs each and every task of theirs, and prints what they would have asked.
import { failed } from 'k6';
import { sent } from 'k6/http';

globalThis.__ENV = { URL: 'http://api.example/', KEY: 'sp_live_x' };
const lib = await import('./lib.js');
const scenarios = {};
for (const name of ['steady', 'burst', 'soak', 'mixed']) {
  const { options, default: run } = await import(`./${name}.js`);
  run();
  scenarios[name] = options;
}
for (const [task] of lib.EVERYTHING) task();
const mix = Object.fromEntries(lib.EVERYTHING.map(([task, weight]) => [task.name, weight]));
const poisons = lib.poisons().map(({ name, expected }) => [name, expected]);
process.stdout.write(JSON.stringify({ scenarios, mix, poisons, sent, failed, request: lib.request({ id: 'a' }) }));
