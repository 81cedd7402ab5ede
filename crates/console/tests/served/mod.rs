//! A console over the made-up hospital on a loopback port, and what a page must keep to for everybody to read it.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::sync::Arc;

use access::Role;

use crate::chrome::Browser;
use crate::house::MadeUp;

/// A console on a loopback port, with its own runtime so that it can be taken away as a whole.
pub struct Served {
    pub house: Arc<MadeUp>,
    pub address: String,
    pub runtime: Option<tokio::runtime::Runtime>,
}

impl Served {
    pub fn start() -> Self {
        let roles = [Role::Administrator, Role::Engineer, Role::Governance, Role::Clinician];
        let house = Arc::new(MadeUp::new(&roles));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = console::router(Arc::clone(&house));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { house, address, runtime: Some(runtime) }
    }

    pub fn sign_in(&self, browser: &Browser) {
        browser.open(&format!("{}/sign-in?token={}", self.address, MadeUp::token()));
        browser.until("the live page", "document.querySelector('#traffic tbody tr') !== null");
    }

    pub fn go(&self, browser: &Browser, path: &str) {
        browser.open(&format!("{}{path}", self.address));
    }

    pub fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Text whose contrast with what is behind it is under 4.5 to 1, or 3 to 1 when large (WCAG 2.2, 1.4.3).
pub const CONTRAST: &str = r#"
const paint = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
const rgba = (color) => { paint.clearRect(0, 0, 1, 1); paint.fillStyle = color; paint.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = paint.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255]; };
const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
const ground = (e) => { const layers = []; for (let n = e; n; n = n.parentElement) layers.push(rgba(getComputedStyle(n).backgroundColor));
  return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]); };
const light = (c) => { const [r, g, b] = c.slice(0, 3).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const out = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const e = walk.currentNode.parentElement;
  if (!walk.currentNode.nodeValue.trim() || ['SCRIPT', 'STYLE', 'NOSCRIPT', 'OPTION'].includes(e.nodeName)) continue;
  if (e.closest('.hidden, [hidden], .skip') || e.getClientRects().length === 0) continue;
  const s = getComputedStyle(e); const behind = ground(e);
  const [a, b] = [light(over(rgba(s.color), behind)), light(behind)].sort((x, y) => y - x);
  const size = parseFloat(s.fontSize); const large = size >= 24 || (size >= 18.66 && s.fontWeight >= 700);
  const ratio = (a + 0.05) / (b + 0.05);
  if (ratio < (large ? 3 : 4.5)) out.push(`${e.nodeName}.${e.className} "${walk.currentNode.nodeValue.trim().slice(0, 30)}" ${ratio.toFixed(2)}`);
}
return [...new Set(out)];
"#;

/// Things that a keyboard or a screen reader would stumble over.
pub const ACCESSIBLE: &str = r#"
const out = []; const all = (css) => [...document.querySelectorAll(css)];
const name = (e) => (e.getAttribute('aria-label') || (e.getAttribute('aria-labelledby') || '').split(' ').map(i => document.getElementById(i)?.textContent || '').join('') || e.textContent || '').trim();
if (!document.documentElement.lang) out.push('no language');
if (!document.title) out.push('no title');
for (const place of ['header', 'main', 'footer', 'nav']) if (!document.querySelector(place)) out.push('no ' + place);
if (all('h1').length !== 1) out.push(all('h1').length + ' h1');
let level = 0;
for (const h of all('h1, h2, h3, h4')) { if (h.closest('[hidden]')) continue; const n = +h.nodeName[1]; if (level && n > level + 1) out.push('heading jumps to ' + h.textContent); level = n; }
const ids = all('[id]').map(e => e.id);
for (const id of ids) if (ids.filter(i => i === id).length > 1) out.push('id twice: ' + id);
for (const e of all('input:not([type=hidden]), select, textarea')) if (!e.labels?.length && !e.getAttribute('aria-label')) out.push('no label: ' + e.outerHTML.slice(0, 80));
for (const e of all('a[href], button, summary')) {
  if (!name(e)) out.push('no name: ' + e.outerHTML.slice(0, 80));
  const box = e.getBoundingClientRect();
  if (['BUTTON', 'SUMMARY'].includes(e.nodeName) && box.height && box.height < 24) out.push('too low to hit: ' + name(e));
}
for (const e of all('[aria-labelledby]')) for (const i of e.getAttribute('aria-labelledby').split(' ')) if (!document.getElementById(i)) out.push('label gone: ' + i);
for (const e of all('label[for]')) if (!document.getElementById(e.htmlFor)) out.push('label for nothing: ' + e.htmlFor);
for (const e of all('table')) { if (!e.caption) out.push('no caption'); if (!e.querySelector('th[scope]')) out.push('no headers'); }
for (const e of all('svg')) if (e.getAttribute('aria-hidden') !== 'true' && !(e.getAttribute('role') === 'img' && e.getAttribute('aria-label'))) out.push('picture without words');
for (const e of all('section')) if (!name(e)) out.push('section without a name');
if (document.querySelector('[data-events]') && !document.querySelector('[aria-live=polite], [role=status]')) out.push('nothing tells of changes');
return out;
"#;
