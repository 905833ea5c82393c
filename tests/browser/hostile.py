"""A page of another origin that tries to act and to read with the session of whoever looks at it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = """<!doctype html><meta charset="utf-8"><title>Cheap tea</title><body><script>
const victim = new URLSearchParams(location.search).get('victim');
const paths = new URLSearchParams(location.search).getAll('path');
const got = {};
const later = (ms) => new Promise((done) => setTimeout(done, ms));
const settled = (name, promise) => promise.then((value) => { got[name] = value; }, () => { got[name] = 'refused'; });

function form(method, path, fields, type) {
  const frame = document.createElement('iframe');
  frame.name = 'f' + Math.random();
  document.body.append(frame);
  const made = document.createElement('form');
  Object.assign(made, {method, action: victim + path, target: frame.name, enctype: type});
  for (const [name, value] of Object.entries(fields)) {
    const field = document.createElement('input');
    Object.assign(field, {type: 'hidden', name, value});
    made.append(field);
  }
  document.body.append(made);
  made.submit();
}

function element(tag, path, name) {
  return settled(`${tag} ${name}`, new Promise((done, failed) => {
    const made = document.createElement(tag);
    made.onload = () => done('loaded');
    made.onerror = failed;
    setTimeout(failed, 4000);
    if (tag === 'link') Object.assign(made, {rel: 'stylesheet', href: victim + path});
    else if (tag === 'object') made.data = victim + path;
    else made.src = victim + path;
    document.body.append(made);
  }));
}

function go(path, fields) {
  const made = document.createElement('form');
  Object.assign(made, {method: 'POST', action: victim + path});
  for (const [name, value] of Object.entries(fields)) {
    made.append(Object.assign(document.createElement('input'), {name, value}));
  }
  document.body.append(made);
  made.submit();
}

async function attack() {
  const writes = paths.filter((path) => path.startsWith('POST ')).map((path) => path.slice(5));
  const reads = paths.filter((path) => path.startsWith('GET ')).map((path) => path.slice(4));
  for (const path of writes) {
    form('POST', path, {outcome: 'false-alarm', version: '1', text: 'x'}, 'application/x-www-form-urlencoded');
    form('POST', path, {'{"outcome":"false-alarm","x":"': '"}'}, 'text/plain');
    form('POST', path, {outcome: 'false-alarm'}, 'multipart/form-data');
    form('GET', path, {}, 'application/x-www-form-urlencoded');
    const body = JSON.stringify({outcome: 'false-alarm'});
    const sent = {method: 'POST', credentials: 'include', body};
    fetch(victim + path, {...sent, mode: 'no-cors'}).catch(() => 0);
    navigator.sendBeacon(victim + path, body);
    const headers = {'content-type': 'application/json', 'x-hearthline': '1'};
    await settled(`fetch ${path}`, fetch(victim + path, {...sent, headers}).then((answer) => answer.status));
  }
  const asked = [];
  for (const path of reads) {
    const get = (mode) => fetch(victim + path, {credentials: 'include', mode});
    asked.push(settled(`read ${path}`, get('cors').then((answer) => answer.text())));
    asked.push(settled(`no-cors ${path}`, get('no-cors').then(() => 'loaded')));
    for (const tag of ['img', 'script', 'link', 'object', 'audio']) asked.push(element(tag, path, path));
    const frame = document.createElement('iframe');
    frame.src = victim + path;
    document.body.append(frame);
    for (const rel of ['prefetch', 'preload']) {
      const hint = document.createElement('link');
      Object.assign(hint, {rel, href: victim + path, as: 'document'});
      document.head.append(hint);
    }
  }
  const heard = (listener) => new Promise((done, failed) => {
    listener.onopen = listener.onmessage = () => done('heard');
    listener.onerror = failed;
  });
  const source = new EventSource(victim + '/api/v1/stream', {withCredentials: true});
  asked.push(settled('EventSource', heard(source)));
  asked.push(settled('WebSocket', heard(new WebSocket(victim.replace('http', 'ws') + '/api/v1/stream'))));
  await Promise.all(asked);
  source.close();
  const opened = window.open(victim + '/service');
  await later(1500);
  try { got['window'] = opened.document.body.innerText; } catch { got['window'] = 'refused'; }
  got['severed'] = opened.closed;
  return got;
}
</script></body>"""


@contextmanager
def hostile_page() -> Iterator[int]:
    """Its port: on 127.0.0.1 another origin of the same site as the center, on localhost another site."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = PAGE.encode()
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
