// Keeps the live parts of a page live, and shows times in the reader's own zone. Everything here is an addition: without it forms post,
// pages reload by themselves, and times are UTC.

const QUIET_MS_MAX = 40_000; // the server says something at least every 15 s
const LOST_AFTER_MS = 2_500; // a reconnect that is quicker than this is not worth a word
const RETRY_MS = 5_000;

// ---------------------------------------------------------------- times

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short", hourCycle: "h23" });

function localise(root) {
  for (const time of root.querySelectorAll("time[data-time]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const today = at.toDateString() === new Date().toDateString();
    time.textContent = (time.dataset.time === "clock" || today ? clock : moment).format(at);
    time.title = time.dateTime;
  }
  for (const place of root.querySelectorAll("[data-zone]")) place.textContent = zone;
}

// ---------------------------------------------------------------- changing what is there into what should be

const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.id || node.dataset.key || "" : "");
const alike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && keyOf(a) === keyOf(b);

/** Makes `from` equal to `to` by changing as little as possible, so that focus, open parts, selection and what is being typed stay. */
function morph(from, to) {
  if (from.isEqualNode(to)) return;
  if (from.nodeType === Node.TEXT_NODE) {
    if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
    return;
  }
  for (const { name, value } of to.attributes) if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  for (const { name } of [...from.attributes]) {
    const kept = name === "open" && from.nodeName === "DETAILS";
    if (!kept && !to.hasAttribute(name)) from.removeAttribute(name);
  }
  const keyed = new Map([...from.children].map((child) => [keyOf(child), child]).filter(([key]) => key));
  let cursor = from.firstChild;
  for (const next of [...to.childNodes]) {
    const key = keyOf(next);
    let match = key ? keyed.get(key) : cursor;
    if (!match || !alike(match, next) || (!key && keyOf(match))) match = null;
    if (match) {
      while (cursor && cursor !== match && !wanted(cursor, to)) cursor = drop(cursor);
      if (match !== cursor) from.insertBefore(match, cursor);
      else cursor = cursor.nextSibling;
      morph(match, next);
    } else {
      if (key && next.classList && document.body.dataset.events) next.classList.add("fresh");
      from.insertBefore(next, cursor);
    }
  }
  while (cursor) cursor = drop(cursor);
}

const wanted = (node, to) => {
  const key = keyOf(node);
  return key !== "" && [...to.children].some((child) => keyOf(child) === key);
};

/** Removes a node; focus inside it goes to the section around it instead of nowhere. */
function drop(node) {
  const next = node.nextSibling;
  if (node.contains(document.activeElement)) node.parentElement.closest("[tabindex]")?.focus({ preventScroll: true });
  node.remove();
  return next;
}

function parse(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  localise(page);
  return page;
}

function show(name, html) {
  const present = document.getElementById(name);
  const wanted = parse(html).body.firstElementChild;
  if (present && wanted) morph(present, wanted);
}

// ---------------------------------------------------------------- the stream

const banner = document.getElementById("connection");
let since = 0;
let heard = Date.now();
let source = null;

function tell(text, href, word) {
  document.body.classList.toggle("lost", Boolean(text));
  banner.replaceChildren();
  if (!text) return;
  const line = document.createElement("p");
  line.textContent = text + " ";
  if (href) {
    const link = document.createElement("a");
    link.href = href;
    link.textContent = word;
    line.append(link);
  }
  banner.append(line);
}

function lost() {
  if (!since) since = Date.now();
  const at = clock.format(new Date(heard));
  setTimeout(() => {
    if (since && Date.now() - since >= LOST_AFTER_MS) tell(`Connection lost. What you see is from ${at}; the page keeps trying.`);
  }, LOST_AFTER_MS);
}

function alive() {
  heard = Date.now();
  if (since) tell("");
  since = 0;
}

/** Asks for the page as a whole: when the stream is refused, and to learn whether the session still holds. */
async function reload() {
  try {
    const response = await fetch(location.pathname, { credentials: "same-origin", cache: "no-store" });
    const text = await response.text();
    if (response.status === 401) {
      source?.close();
      tell("Your session is over; this page no longer changes.", "/", "Sign in again");
      return false;
    }
    if (!response.ok) throw new Error(String(response.status));
    replace(parse(text));
    alive();
  } catch {
    lost();
  }
  return true;
}

function replace(page) {
  for (const next of page.querySelectorAll("main [id]")) {
    const present = document.getElementById(next.id);
    if (present && next.parentElement.closest("main [id]") === null) morph(present, next.cloneNode(true));
  }
}

function connect() {
  source?.close();
  source = new EventSource(document.body.dataset.events);
  source.onopen = alive;
  source.onerror = () => {
    lost();
    if (source.readyState === EventSource.CLOSED) {
      setTimeout(async () => (await reload()) && connect(), RETRY_MS);
    }
  };
  source.addEventListener("beat", alive);
  source.addEventListener("over", async () => {
    source.close();
    if (await reload()) setTimeout(connect, RETRY_MS);
  });
  for (const part of document.querySelectorAll("main [id]")) {
    if (part.parentElement.closest("main [id]")) continue;
    source.addEventListener(part.id, (event) => {
      alive();
      show(part.id, event.data);
    });
  }
}

// ---------------------------------------------------------------- forms that need no new page

async function send(form, button) {
  button?.setAttribute("aria-busy", "true");
  const body = new URLSearchParams(new FormData(form));
  try {
    const response = await fetch(form.action, { method: "POST", body, credentials: "same-origin", cache: "no-store" });
    const page = parse(await response.text());
    if (response.ok) {
      form.closest("details.act")?.removeAttribute("open");
      form.reset();
      replace(page);
    } else {
      const problem = page.querySelector("[data-problem]")?.textContent ?? "That did not work; try again.";
      const line = document.createElement("p");
      line.className = "notice tone-bad";
      line.textContent = problem;
      document.getElementById("notice").replaceChildren(line);
    }
  } catch {
    lost();
  }
  button?.removeAttribute("aria-busy");
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-inline]")) return;
  event.preventDefault();
  send(event.target, event.submitter);
});

localise(document);
if (document.body.dataset.events) {
  connect();
  setInterval(() => {
    if (Date.now() - heard > QUIET_MS_MAX && source.readyState !== EventSource.CLOSED) {
      lost();
      connect();
    }
  }, QUIET_MS_MAX / 4);
}
