// Live updates and keys for Picket's console. Every page works without this file.
//
// The server tells only that something has changed (Server-Sent Events at
// /events); the script then fetches the page's live part and swaps it. Markup is
// parsed by XMLHttpRequest into a document of its own, so that no string is ever
// assigned to an HTML sink and the policy can forbid that altogether.
(() => {
  'use strict';

  const byId = (id) => document.getElementById(id);
  const status = byId('status');
  const statusText = byId('status-text');
  const pauseButton = byId('pause');
  const help = byId('help');
  const keysOn = byId('keys-on');
  const reconnectAfter = 10000; // ms, when the server has refused a stream
  const words = { live: 'Live', connecting: 'Connecting', reconnecting: 'Reconnecting', paused: 'Paused' };

  let source = null;
  let timer = 0;
  let paused = false;
  let newest = live().dataset.revision;
  let fetching = false;
  let again = false;

  function live() { return byId('live'); }

  function show(state, text) {
    if (status.dataset.state === state && !text) return;
    status.dataset.state = state;
    statusText.textContent = text || words[state];
  }

  // --- the stream -----------------------------------------------------------

  function connect() {
    clearTimeout(timer);
    if (source || paused || document.hidden) return;
    source = new EventSource('/events');
    source.addEventListener('revision', (e) => {
      show('live');
      newest = e.data;
      if (newest !== live().dataset.revision) update();
    });
    source.addEventListener('failing', () => show('reconnecting', 'Store not answering'));
    source.onerror = () => {
      show('reconnecting');
      if (source.readyState === EventSource.CLOSED) {
        disconnect();
        timer = setTimeout(connect, reconnectAfter);
      }
    };
  }

  function disconnect() {
    clearTimeout(timer);
    if (source) source.close();
    source = null;
  }

  // --- fetching and swapping ------------------------------------------------

  function update() {
    if (fetching) { again = true; return; }
    if (selecting()) { setTimeout(update, 1000); return; }
    if (paused) return;
    fetching = true;
    const url = new URL(location.href);
    url.hash = '';
    url.searchParams.set('fragment', '1');
    const request = new XMLHttpRequest();
    request.open('GET', url);
    request.responseType = 'document';
    request.timeout = 15000;
    request.onloadend = () => {
      fetching = false;
      const fresh = request.status === 200 && request.response && request.response.getElementById('live');
      if (fresh && !paused) swap(document.adoptNode(fresh));
      if (!fresh) show('reconnecting', 'Update failed');
      if (again) { again = false; update(); }
    };
    request.send();
  }

  // A reader who is marking text in the live part must not lose the selection.
  function selecting() {
    const s = getSelection();
    return !s.isCollapsed && live().contains(s.anchorNode);
  }

  function swap(fresh) {
    const old = live();
    const anchor = firstVisible(old);
    const focused = old.contains(document.activeElement) ? handle(document.activeElement) : null;
    const known = new Set(keyed(old, 'tr').map((e) => e.dataset.key));
    for (const d of old.querySelectorAll('details[open][id]')) {
      const same = fresh.querySelector('#' + CSS.escape(d.id));
      if (same) same.open = true;
    }
    const added = keyed(fresh, 'tr').filter((e) => !known.has(e.dataset.key));
    if (known.size) added.forEach((e) => e.classList.add('fresh'));
    old.replaceWith(fresh);
    if (focused) refocus(fresh, focused);
    keepPlace(fresh, anchor);
    if (fresh.dataset.total && fresh.dataset.total !== old.dataset.total) byId('announce').textContent = 'Updated: ' + fresh.dataset.total;
  }

  function keyed(root, tag) { return Array.from(root.querySelectorAll(tag + '[data-key]')); }

  // handle says how to find an element again after the swap.
  function handle(e) {
    if (e.dataset.key) return { key: e.dataset.key };
    if (e.id) return { id: e.id };
    return { href: e.getAttribute('href'), tag: e.tagName };
  }

  function refocus(root, h) {
    let e = null;
    if (h.key) e = keyed(root, 'a').find((a) => a.dataset.key === h.key);
    else if (h.id) e = byId(h.id);
    else e = Array.from(root.querySelectorAll(h.tag)).find((x) => x.getAttribute('href') === h.href);
    (e || byId('main')).focus({ preventScroll: true });
  }

  // The row at the top of the window stays where it is when rows come in above it.
  function firstVisible(root) {
    if (scrollY === 0) return null;
    const row = keyed(root, 'tr').find((e) => e.getBoundingClientRect().top >= 0);
    return row ? { key: row.dataset.key, top: row.getBoundingClientRect().top } : null;
  }

  function keepPlace(root, anchor) {
    if (!anchor) return;
    const row = keyed(root, 'tr').find((e) => e.dataset.key === anchor.key);
    if (row) scrollBy(0, row.getBoundingClientRect().top - anchor.top);
  }

  // --- times ----------------------------------------------------------------

  // The same rule as relative in text.go.
  function relative(ms) {
    const s = Math.floor(Math.abs(ms) / 1000);
    if (s < 10) return 'just now';
    let t = Math.floor(s / 86400) + ' days';
    if (s < 60) t = s + ' s';
    else if (s < 7200) t = Math.floor(s / 60) + ' min';
    else if (s < 172800) t = Math.floor(s / 3600) + ' h';
    return ms >= 0 ? t + ' ago' : 'in ' + t;
  }

  function age() {
    if (selecting()) return;
    for (const e of document.querySelectorAll('time[data-relative]')) {
      const text = relative(Date.now() + skew - Date.parse(e.dateTime));
      if (e.textContent !== text) e.textContent = text;
    }
  }
  // The reader's clock may be wrong; the page says what the server's was.
  const skew = Date.parse(document.querySelector('.foot time').dateTime) - Date.now();

  // --- keys -----------------------------------------------------------------

  function typing(e) {
    return e.isContentEditable || ['INPUT', 'SELECT', 'TEXTAREA'].includes(e.tagName);
  }

  function move(step) {
    const rows = Array.from(document.querySelectorAll('a.open'));
    if (!rows.length) return false;
    const row = document.activeElement.closest('tr[data-key]');
    const at = row ? rows.findIndex((a) => row.contains(a)) : -1;
    const to = at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + step, 0), rows.length - 1);
    rows[to].focus();
    rows[to].closest('tr').scrollIntoView({ block: 'nearest' });
    return true;
  }

  const keys = {
    j: () => move(1),
    k: () => move(-1),
    '/': () => { const f = byId('f-text'); if (f) { f.focus(); f.select(); } return Boolean(f); },
    '?': () => { help.showModal(); return true; },
  };

  document.addEventListener('keydown', (e) => {
    if (e.defaultPrevented || e.ctrlKey || e.altKey || e.metaKey || e.isComposing) return;
    if (e.key === 'Escape' && e.target.id === 'f-text') { e.target.blur(); return; }
    if (!keysOn.checked || help.open || typing(e.target)) return;
    if (Object.hasOwn(keys, e.key) && keys[e.key]()) e.preventDefault();
  });

  // --- start ----------------------------------------------------------------

  const remembered = 'picket-keys';
  try { keysOn.checked = localStorage.getItem(remembered) !== 'off'; } catch { /* storage is off: keys stay on */ }
  keysOn.addEventListener('change', () => {
    try { localStorage.setItem(remembered, keysOn.checked ? 'on' : 'off'); } catch { /* for this page only */ }
  });
  byId('help-open').addEventListener('click', () => help.showModal());

  pauseButton.addEventListener('click', () => {
    paused = !paused;
    pauseButton.setAttribute('aria-pressed', String(paused));
    if (paused) { disconnect(); show('paused'); } else { show('connecting'); connect(); }
  });

  // A hidden page gives its stream up: browsers allow few connections per host.
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) disconnect();
    else if (!paused) { show('connecting'); connect(); }
  });
  addEventListener('pagehide', disconnect);
  addEventListener('pageshow', (e) => { if (e.persisted) connect(); });

  byId('tools').hidden = false;
  setInterval(() => { if (!paused) age(); }, 10000);
  const every = Number(live().dataset.refresh || 0);
  if (every) setInterval(() => { if (!paused && !document.hidden) update(); }, every * 1000);
  connect();
})();
