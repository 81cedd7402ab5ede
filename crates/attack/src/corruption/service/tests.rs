//! Plans hold what they say, and malformed requests are malformed to a real parser.

use super::{CONDITIONS, Expected, Facts, Plan, find};

fn facts() -> Facts<'static> {
    Facts {
        tensor: "input",
        row_shape: &[1, 2, 3],
        rows: &[0.0, 0.25, 0.5, 0.75, 1.0, 2.0],
        batch_rows_max: 64,
        body_bytes_max: oip::Limits::default().body_bytes,
        requests_per_second: 50,
        burst: 100,
        exchange_ms_max: 10_000,
    }
}

/// What a strict server does with a body before it knows the model: `true` for read.
fn read(request: &super::Request) -> bool {
    let length = request.headers.iter().find(|(name, _)| *name == "inference-header-content-length");
    let length = match length.map(|(_, value)| value.parse::<usize>()) {
        Some(Err(_)) => return false,
        Some(Ok(n)) => Some(n),
        None => None,
    };
    oip::rest::parse_request(&request.body, length, &oip::Limits::default()).is_ok()
}

#[test]
fn a_valid_body_is_read_and_the_same_facts_give_the_same_plan() {
    let limits = oip::Limits::default();
    for rows in [1, 3, 64] {
        let call = oip::rest::parse_request(&facts().valid(rows), None, &limits).unwrap();
        assert_eq!(call.inputs[0].shape(), [rows, 1, 2, 3]);
    }
    for condition in CONDITIONS {
        assert_eq!((condition.plan)(&facts(), 5), (condition.plan)(&facts(), 5), "{}", condition.entry.name);
    }
}

#[test]
fn malformed_requests_are_refused_by_a_strict_reader() {
    // Sound to a reader that does not know the model, or wrong in a header only: these fall when it is known.
    const LATER: [&str; 8] = [
        "inputs without a tensor",
        "an output that does not exist",
        "an unknown tensor",
        "a tensor too many",
        "no rows",
        "a shape without dimensions",
        "a width of one more",
        "a body that is not what its encoding says",
    ];
    let Plan::Requests(all) = (find("malformed_requests").unwrap().plan)(&facts(), 1) else { panic!() };
    assert!(all.len() > 100, "{}", all.len());
    let mut read_anyway = Vec::new();
    for request in all.iter().filter(|r| r.expected == Expected::ClientFault) {
        if read(request) && !LATER.contains(&request.what.as_str()) {
            read_anyway.push(&request.what);
        }
    }
    assert!(read_anyway.is_empty(), "{read_anyway:?}");
}

#[test]
fn batches_are_served_up_to_the_limit() {
    let Plan::Requests(all) = (find("X142").unwrap().plan)(&facts(), 1) else { panic!() };
    let seen: Vec<(&str, Expected)> = all.iter().map(|r| (r.what.as_str(), r.expected)).collect();
    use Expected::{ClientFault, Served};
    let rows = [
        ("1 rows", Served),
        ("32 rows", Served),
        ("64 rows", Served),
        ("65 rows", ClientFault),
        ("640 rows", ClientFault),
    ];
    assert_eq!(seen, rows);
    assert!(all.iter().all(read));
}

#[test]
fn bursts_come_at_the_rates_they_say() {
    let Plan::Arrivals(all) = (find("burst_load").unwrap().plan)(&facts(), 1) else { panic!() };
    assert!(all.is_sorted_by_key(|a| a.at_ms));
    let within = |second: u64| all.iter().filter(|a| a.at_ms / 1_000 == second).count();
    // 0.5, 2 and 20 times 50 a second, within five deviations of a Poisson count.
    for (second, expected) in [(0, 25.0_f64), (1, 100.0), (8, 1_000.0)] {
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let seen = within(second) as f64;
        assert!((seen - expected).abs() < 5.0 * expected.sqrt(), "{second}: {seen}");
    }
    assert_eq!((within(2), within(9)), (0, 0));
    assert_eq!(all.last().map(|a| a.expected), Some(Expected::Served));
}

#[test]
fn an_internal_error_is_never_sound() {
    use Expected::{
        ClientFault, Served, ServedOrBusy, ServedOrClientFault, ServedOrUpstreamFault, UpstreamFault,
    };
    for expected in
        [Served, ClientFault, ServedOrClientFault, ServedOrBusy, UpstreamFault, ServedOrUpstreamFault]
    {
        assert!(!expected.allows(500) && !expected.allows(501) && !expected.allows(302));
    }
    assert!(
        Served.allows(200)
            && ClientFault.allows(422)
            && ServedOrBusy.allows(429)
            && UpstreamFault.allows(504)
    );
    assert!(!Served.allows(429) && !ClientFault.allows(200) && !UpstreamFault.allows(400));
}

#[test]
fn slow_and_dying_servers_are_told_from_sound_ones() {
    for name in ["slow_upstream", "dying_upstream"] {
        let Plan::Upstreams(all) = (find(name).unwrap().plan)(&facts(), 1) else { panic!() };
        assert!(all.iter().filter(|u| u.expected == Expected::UpstreamFault).count() >= 3);
        assert_eq!(all[0].expected, Expected::Served);
    }
}
