// What the four scenarios share: the requests, and clients that do as docs/errors.md says. Run one of them with
//   k6 run -e URL=https://… -e KEY=sp_live_… tests/load/k6/mixed.js
// CLIENTS and SECONDS change its size. `make tools TOOLS=k6` builds k6.
import http from 'k6/http';
import { check, sleep } from 'k6';
import { Counter, Trend } from 'k6/metrics';

const URL = (__ENV.URL || 'http://127.0.0.1:8000').replace(/\/$/, '');
const HEADERS = { 'Content-Type': 'application/json', Authorization: `Bearer ${__ENV.KEY || ''}` };
const PATIENCE_S = 120;
const BATCH = 20;
const ENDED = ['failed', 'rejected', 'cancelled'];

const repeated = new Counter('told_to_repeat');
const untilEnd = new Trend('until_its_end', true);

export const SCHEMA = {
  type: 'object',
  properties: { label: { enum: ['positive', 'negative', 'neutral'] }, confidence: { type: 'number' } },
  required: ['label'],
  additionalProperties: false,
};

// Every request counts: one wrong answer fails the run.
export function options(clients, seconds, stages) {
  const most = Number(__ENV.CLIENTS || clients);
  const length = Number(__ENV.SECONDS || seconds);
  return {
    scenarios: {
      load: {
        executor: 'ramping-arrival-rate',
        startRate: Math.max(1, Math.round(most * stages[0][1])),
        timeUnit: '1s',
        // all of them: k6 drops what would begin while it makes another one
        preAllocatedVUs: most * 10,
        stages: steps(stages, most, length),
        gracefulStop: `${PATIENCE_S}s`,
      },
    },
    thresholds: { checks: ['rate==1'], dropped_iterations: ['count==0'] },
  };
}

// A jump to the rate of each stage, then that rate: k6 would climb slowly.
function steps(stages, most, length) {
  return stages.flatMap(([time, share]) => {
    const target = Math.max(1, Math.round(most * share));
    return [
      { target, duration: '0s' },
      { target, duration: `${Math.max(1, Math.round(time * length))}s` },
    ];
  });
}

export function request(more) {
  const id = `load-${Date.now()}-${Math.random().toString(36).slice(2, 12)}`;
  return Object.assign(
    { id, prompt: `Parcel ${id} came a day late. Is that good?`, output_schema: SCHEMA },
    more || {},
  );
}

// At 429 and 503 it waits for Retry-After and repeats the request with its id; `refused` may change what is sent.
function untilTaken(send, expected, name, refused) {
  const began = Date.now();
  while (Date.now() - began < PATIENCE_S * 1000) {
    const answer = send();
    if (answer.status !== 429 && answer.status !== 503) {
      check(answer, { [name]: (one) => expected.includes(one.status) });
      return expected.includes(answer.status) ? answer : null;
    }
    repeated.add(1);
    if (refused) refused(answer);
    sleep(Number(answer.headers['Retry-After'] || 1));
  }
  check(null, { [name]: () => false });
  return null;
}

function post(path, body, expected, headers) {
  const sent = Object.assign({}, HEADERS, headers || {});
  const tags = { name: path };
  const asked = Object.assign({}, body);
  const send = () => http.post(URL + path, JSON.stringify(asked), { headers: sent, tags, timeout: '130s' });
  // with a result the request has ended, rejected by a limit: without `rerun` it would be told the same for ever
  const refused = (answer) => Object.assign(asked, answer.body.includes('"result":') ? { rerun: true } : {});
  return untilTaken(send, expected, path, refused);
}

function get(path, name) {
  return untilTaken(() => http.get(URL + path, { headers: HEADERS, tags: { name } }), [200], name);
}

function follow(ids, name) {
  const began = Date.now();
  let left = ids;
  let failed = false;
  while (left.length > 0 && !failed && Date.now() - began < PATIENCE_S * 1000) {
    const seen = left.map((id) => get(`/v1/jobs/${id}`, '/v1/jobs/{id}')).map((one) => (one ? one.json('status') : 'failed'));
    failed = seen.some((status) => ENDED.includes(status));
    left = left.filter((_, index) => seen[index] !== 'completed');
    if (left.length > 0) sleep(0.5);
  }
  check(null, { [`${name} is completed`]: () => left.length === 0 });
  untilEnd.add(Date.now() - began);
}

export function ask() {
  const body = request();
  const answer = post('/v1/analyze', body, [200, 202]);
  if (answer && answer.status === 202) follow([body.id], 'a synchronous one');
}

export function submit() {
  const body = request();
  if (post('/v1/analyze/async', body, [202])) follow([body.id], 'a job');
}

export function batch() {
  const name = `load-${Math.random().toString(36).slice(2, 12)}`;
  const bodies = Array.from({ length: BATCH }, () => request({ lane: 'bulk', tags: { batch: name } }));
  const taken = bodies.filter((body) => post('/v1/analyze/async', body, [202]));
  follow(taken.map((body) => body.id), 'a batch');
}

// k6 reads a stream to its end.
export function stream() {
  const body = request();
  delete body.output_schema;
  const answer = post('/v1/analyze', body, [200], { Accept: 'text/event-stream' });
  if (answer && !answer.body.includes('event: result\n')) follow([body.id], 'a stream');
}

export function repeat() {
  const body = request();
  const [first, second] = [post('/v1/analyze', body, [200, 202]), post('/v1/analyze', body, [200, 202])];
  const same = !first || !second || first.status === 202 || first.body === second.body;
  check(null, { 'a repeat is the same answer': () => same });
}

export function poisons() {
  const fine = request();
  const wrong = (more) => JSON.stringify(Object.assign({}, fine, more));
  return [
    { name: 'not JSON', body: "{'prompt':", expected: [422] },
    { name: 'not a number', body: '{"prompt":"a","metadata":{"x":NaN}}', expected: [422] },
    { name: 'nested too deeply', body: `{"metadata":${'{"a":'.repeat(5000)}1${'}'.repeat(5001)}`, expected: [422] },
    { name: 'an unknown field', body: wrong({ promt: 'a' }), expected: [422] },
    { name: 'two prompts', body: wrong({ messages: [{ role: 'user', content: 'a' }] }), expected: [422] },
    { name: 'an unknown model', body: wrong({ model: 'no-such-model' }), expected: [422] },
    { name: 'a schema that is none', body: wrong({ output_schema: { type: 'nothing' } }), expected: [422] },
    { name: 'too large', body: wrong({ prompt: 'a'.repeat(1100000) }), expected: [413] },
    { name: 'no such key', body: wrong({}), expected: [401, 429], key: 'sp_live_mistyped' },
  ];
}

export function poison() {
  const all = poisons();
  const bad = all[Math.floor(Math.random() * all.length)];
  const headers = Object.assign({}, HEADERS, bad.key ? { Authorization: `Bearer ${bad.key}` } : {});
  // a refusal is what is wanted here, and no failed request
  const responseCallback = http.expectedStatuses(...bad.expected);
  const answer = http.post(`${URL}/v1/analyze/async`, bad.body, { headers, responseCallback, tags: { name: 'poison' } });
  check(answer, { [`poison: ${bad.name}`]: (one) => bad.expected.includes(one.status) });
}

const LOOKS = ['/v1/jobs?limit=10', '/v1/usage', '/v1/queues', '/v1/limits', '/v1/models', '/v1/budgets', '/v1/dead-letters'];

export function look() {
  const path = LOOKS[Math.floor(Math.random() * LOOKS.length)];
  get(path, path.split('?')[0]);
}

// One task of the mix, by its weight.
export function oneOf(mix) {
  const total = mix.reduce((sum, [, weight]) => sum + weight, 0);
  let left = Math.random() * total;
  for (const [task, weight] of mix) {
    left -= weight;
    if (left < 0) return task();
  }
  return mix[0][0]();
}

export const EVERYTHING = [[ask, 6], [submit, 6], [stream, 2], [repeat, 2], [batch, 1], [poison, 4], [look, 3]];
