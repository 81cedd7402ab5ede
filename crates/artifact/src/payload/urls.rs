//! Addresses in text that are not references for people.

/// Services that pass data on to whoever made the address, and shorteners that hide it.
const DROPS: &[&str] = &[
    "pastebin.com",
    "paste.ee",
    "hastebin.com",
    "ghostbin.com",
    "transfer.sh",
    "ngrok.io",
    "ngrok.app",
    "ngrok-free.app",
    "webhook.site",
    "requestbin.com",
    "requestbin.net",
    "pipedream.net",
    "beeceptor.com",
    "interact.sh",
    "interactsh.com",
    "oast.fun",
    "oast.pro",
    "oast.live",
    "oast.site",
    "oast.online",
    "oast.me",
    "burpcollaborator.net",
    "oastify.com",
    "canarytokens.com",
    "dnslog.cn",
    "ceye.io",
    "api.telegram.org",
    "anonfiles.com",
    "file.io",
    "0x0.st",
    "gofile.io",
    "termbin.com",
    "bit.ly",
    "tinyurl.com",
    "is.gd",
    "cutt.ly",
    "rb.gy",
    "duckdns.org",
    "serveo.net",
    "trycloudflare.com",
    "localhost.run",
    "loca.lt",
    "temp.sh",
    "catbox.moe",
    "bashupload.com",
    "requestcatcher.com",
    "hookbin.com",
    "postb.in",
];
/// Words in a host or path that name the purpose.
const WORDS: &[&str] = &[
    "evil",
    "attacker",
    "malicious",
    "malware",
    "phish",
    "exfil",
    "payload",
    "backdoor",
    "pwn",
    "botnet",
    "c2",
    "rat",
    "keylog",
    "ransom",
    "revshell",
    "shellcode",
    "stealer",
];
/// Ends of paths that are run, not read.
const RUNNABLE: &[&str] = &[
    ".sh", ".exe", ".dll", ".so", ".ps1", ".bat", ".cmd", ".scr", ".vbs", ".hta", ".jar", ".apk", ".msi",
    ".elf", ".pkl", ".pickle", ".pyc", ".dylib", ".lnk", ".wsf",
];
/// Keys under which an address is there to be called.
const KEYS: &[&str] = &[
    "callback",
    "webhook",
    "beacon",
    "exfil",
    "hook",
    "phone_home",
    "phonehome",
    "payload",
    "report_to",
    "c2_",
    "postback",
];
/// Schemes that no model card needs.
const SCHEMES: &[&str] = &[
    "file", "ftp", "gopher", "ldap", "ldaps", "rmi", "smb", "dict", "tftp", "jar", "netdoc", "php", "expect",
    "telnet",
];
/// Addresses looked at in one text.
const URLS_MAX: usize = 2_000;

/// The first address that is suspicious, why, and where.
pub(super) fn find(text: &str, what: &str) -> Option<(&'static str, usize)> {
    let key = what.to_ascii_lowercase();
    text.match_indices("://").take(URLS_MAX).find_map(|(at, _)| {
        let scheme_length =
            text.get(..at)?.bytes().rev().take_while(|b| b.is_ascii_alphanumeric() || *b == b'+').count();
        let start = at - scheme_length;
        let scheme = text.get(start..at)?.to_ascii_lowercase();
        let rest = text.get(at + 3..)?;
        let end = rest
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | ')' | '`' | '}'))
            .unwrap_or(rest.len());
        judge(&scheme, rest.get(..end)?, &key).map(|why| (why, start))
    })
}

fn judge(scheme: &str, rest: &str, key: &str) -> Option<&'static str> {
    if SCHEMES.contains(&scheme) {
        return Some("an address of a kind that no model needs");
    }
    if !matches!(scheme, "http" | "https" | "ws" | "wss") {
        return None;
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return Some("an address with a user in it, which hides the real host");
    }
    let host =
        if authority.starts_with('[') { authority } else { authority.split(':').next().unwrap_or_default() };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let path = path.to_ascii_lowercase();
    if is_address(&host) && host != "127.0.0.1" && host != "0.0.0.0" && host != "[::1]" {
        return Some("a host without a name");
    }
    if host.ends_with(".onion")
        || DROPS.iter().any(|d| host == *d || host.strip_suffix(d).is_some_and(|h| h.ends_with('.')))
    {
        return Some("a drop, tunnel or shortener service");
    }
    if host.starts_with("discord") && path.starts_with("/api/webhooks") || host == "hooks.slack.com" {
        return Some("a webhook");
    }
    let words = |text: &str| {
        text.split(|c: char| !c.is_ascii_alphanumeric())
            .any(|w| WORDS.iter().any(|bad| if bad.len() <= 3 { w == *bad } else { w.starts_with(bad) }))
    };
    if words(&host) || words(&path) {
        return Some("an address whose name tells of an attack");
    }
    let file = path.split(['?', '#']).next().unwrap_or_default();
    if RUNNABLE.iter().any(|e| file.ends_with(e)) {
        return Some("an address of something to run");
    }
    if KEYS.iter().any(|k| key.contains(k)) {
        return Some("an address to call back");
    }
    None
}

/// Digits and dots, one number, hexadecimal, or in brackets.
fn is_address(host: &str) -> bool {
    let dotted = host.split('.').count() == 4 && host.split('.').all(|p| p.parse::<u8>().is_ok());
    let number = host.len() >= 8 && host.bytes().all(|b| b.is_ascii_digit());
    let hex =
        host.strip_prefix("0x").is_some_and(|h| h.len() == 8 && h.bytes().all(|b| b.is_ascii_hexdigit()));
    dotted || number || hex || host.starts_with('[')
}
