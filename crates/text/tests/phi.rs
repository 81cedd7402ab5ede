//! Each of the eighteen identifiers is found, and its benign neighbour in a clinical text stays.

use proptest::prelude::*;
use text::phi::{Kind, PIECE_BYTES_MAX, find};

/// `text` must have `value` found as `kind`, and nothing beside it.
fn check(kind: Kind, value: &str, text: &str) {
    let found = find(text);
    let seen: Vec<(Kind, &str)> = found.iter().map(|f| (f.kind, f.span.of(text))).collect();
    assert_eq!(seen, [(kind, value)], "{text}");
}

fn stays(text: &str) {
    let found = find(text);
    assert!(found.is_empty(), "{text}: {:?}", found.iter().map(|f| f.span.of(text)).collect::<Vec<_>>());
}

#[test]
fn every_kind_is_found_by_its_form_or_its_words() {
    check(Kind::Name, "Tobias Ravenel", "She was brought in by her son, Tobias Ravenel, with fever.");
    check(
        Kind::Place,
        "4417 Larkhaven Drive, Tulsa, OK 74104",
        "He lives at 4417 Larkhaven Drive, Tulsa, OK 74104.",
    );
    check(Kind::Date, "04/12/2023", "Echo of 04/12/2023 was normal.");
    check(Kind::Date, "3rd of March 1956", "date of birth 3rd of March 1956");
    check(Kind::AgeOver89, "94", "A 94-year-old woman fell.");
    check(Kind::Phone, "(415) 555-0199 ext. 22", "Call (415) 555-0199 ext. 22 with results.");
    check(Kind::Fax, "415-555-0177", "Results were faxed to 415-555-0177.");
    check(Kind::Email, "jane_doe+x@health.example.co.uk", "Mail jane_doe+x@health.example.co.uk today.");
    check(Kind::SocialSecurity, "123-45-6789", "SSN 123-45-6789.");
    check(Kind::RecordNumber, "A3059354", "MRN: A3059354");
    check(Kind::HealthPlan, "XEH123456789", "member ID XEH123456789");
    check(Kind::Account, "4111 1111 1111 1111", "Paid with 4111 1111 1111 1111.");
    check(Kind::Licence, "1234567893", "NPI 1234567893");
    check(Kind::Vehicle, "1M8GDM9AXKP042788", "The car 1M8GDM9AXKP042788 was towed.");
    check(Kind::Device, "PJN1234567H", "pacemaker serial number PJN1234567H");
    check(Kind::Device, "00:1A:2B:3C:4D:5E", "The monitor has 00:1A:2B:3C:4D:5E as address.");
    check(Kind::Url, "https://portal.example.com/u?id=88", "See https://portal.example.com/u?id=88.");
    check(Kind::Ip, "192.168.4.17", "Logged in from 192.168.4.17 at noon.");
    check(Kind::Ip, "2001:db8::1", "Logged in from 2001:db8::1 at noon.");
    check(Kind::Biometric, "FP-889201", "The fingerprint FP-889201 was stored.");
    check(Kind::Photo, "IMG_2041.jpg", "The photograph IMG_2041.jpg was added.");
    check(Kind::Other, "JH-998877", "Please review case JH-998877 again.");
}

#[test]
fn medicine_stays() {
    stays("Start metformin 500 mg BID and lisinopril 10 mg daily; Lasix 40 mg IV once.");
    stays(
        "Parkinson's disease, Graves disease, Hodgkin lymphoma, Foley catheter, Apgar 8 and 9, Glasgow Coma Scale 15.",
    );
    stays("BP 120/80, HR 88, RR 16, SpO2 94%, T 37.5 C, strength 5/5, reflexes 2/4, vision 20/40.");
    stays("What is the 5-year survival for a 65-year-old male with a Gleason score of 7 diagnosed in 2021?");
    stays("Type 2 diabetes since 2015, HbA1c 7.5%, eGFR 45, CHA2DS2-VASc 3, NYHA class III.");
    stays("He is 89 years old and returned from California and Brazil.");
    stays("Take 1/2 tablet for 10 days, then 2 tablets every 6 hours.");
    stays("Ratio 1:1000, version 1.2.3, 10-20 mmHg, L4-L5, C5-C6, T2DM, COVID-19, CYP2D6, rs1801133.");
    stays("Call 911 if the pain worsens.");
    stays("A 55yo man with Crohn's disease and a positive Chaddock reflex.");
}

#[test]
fn dates_and_addresses_that_cannot_be_are_not_taken() {
    stays("The grid is 13/45/2020 by design.");
    stays("Release 300.1.2.3 of the software.");
}

#[test]
fn a_name_found_once_is_found_again() {
    let text = "Patient: Agatha Ottarsdóttir\nThe exam was normal. Agatha states that Ottarsdóttir is her birth name.";
    let found = find(text);
    let names: Vec<&str> = found.iter().map(|f| f.span.of(text)).collect();
    assert_eq!(names, ["Agatha Ottarsdóttir", "Agatha", "Ottarsdóttir"]);
}

#[test]
fn a_relative_date_counts_beside_an_institution_only() {
    stays("She was seen last month and is better.");
    let text = "Seen by Dr. Okafor at Mercy General Hospital last Friday.";
    assert!(find(text).iter().any(|f| f.span.of(text) == "last Friday"));
}

#[test]
fn long_texts_are_read_in_pieces_without_a_loss() {
    let line = "Seen by Dr. Okafor on 04/12/2023 for hypertension.\n";
    let text = line.repeat(PIECE_BYTES_MAX / line.len() * 2 + 7);
    let found = find(&text);
    assert_eq!(found.len(), text.lines().count() * 2);
    let unbroken = "a".repeat(PIECE_BYTES_MAX * 2 + 3) + "é";
    assert!(find(&unbroken).is_empty());
}

proptest! {
    #[test]
    fn spans_are_pieces_of_the_text_in_order(text in "(\\PC|[0-9A-Z/.:@ #\\n()+-]){0,200}") {
        let mut end = 0;
        for f in find(&text) {
            prop_assert!(f.span.start() >= end && !f.span.is_empty());
            prop_assert!(text.get(f.span.range()).is_some());
            prop_assert!((0.0..=1.0).contains(&f.confidence));
            end = f.span.end();
        }
    }
}
