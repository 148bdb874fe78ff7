// An API that is busy, or over a limit, at every third request and then does as it is told.
export const sent = [];

let asked = 0;

function answer(status, body) {
  const text = JSON.stringify(body);
  return { status, body: text, headers: { 'Retry-After': '1' }, json: (field) => body[field] };
}

function taken(method, url, body, given) {
  asked += 1;
  sent.push({ method, url, body, headers: given.headers });
  if (given.responseCallback) return answer(given.responseCallback[0], {});
  if (asked % 6 === 0) return answer(429, { result: { status: 'rejected' } });
  if (asked % 3 === 0) return answer(503, {});
  if (url.endsWith('/async')) return answer(202, { status: 'accepted' });
  return answer(200, { status: 'completed' });
}

export default {
  get: (url, given) => taken('GET', url, null, given),
  post: (url, body, given) => taken('POST', url, body, given),
  expectedStatuses: (...statuses) => statuses,
};
