//! The eighteen identifiers of the Safe Harbor method.

/// What an identifier is, by the list of the United States' privacy rule (45 CFR 164.514(b)(2)(i), items A to R).
/// Item C is two kinds here, because a date is shifted and an age is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// (A) Names of the patient, of relatives, of staff.
    Name,
    /// (B) Geographic units smaller than a state: street, city, county, ZIP code, hospital.
    Place,
    /// (C) Elements of dates, except a year alone.
    Date,
    /// (C) Ages over 89.
    AgeOver89,
    /// (D) Telephone and pager numbers.
    Phone,
    /// (E) Fax numbers.
    Fax,
    /// (F) Electronic mail addresses.
    Email,
    /// (G) Social Security numbers.
    SocialSecurity,
    /// (H) Medical record numbers.
    RecordNumber,
    /// (I) Health plan beneficiary numbers.
    HealthPlan,
    /// (J) Account numbers, cards, IBAN.
    Account,
    /// (K) Certificate and licence numbers, NPI and DEA numbers.
    Licence,
    /// (L) Vehicle identifiers and licence plates.
    Vehicle,
    /// (M) Device identifiers and serial numbers.
    Device,
    /// (N) Web addresses.
    Url,
    /// (O) Internet protocol addresses.
    Ip,
    /// (P) Biometric identifiers: finger and voice prints.
    Biometric,
    /// (Q) Full-face photographs and comparable images (a file's name in a text).
    Photo,
    /// (R) Any other unique number, characteristic or code.
    Other,
}

/// What is known about each kind: the kind, its item of the rule, its word in a placeholder, what it is.
const KINDS: [(Kind, char, &str, &str); 19] = [
    (Kind::Name, 'A', "NAME", "name"),
    (Kind::Place, 'B', "PLACE", "geographic unit smaller than a state"),
    (Kind::Date, 'C', "DATE", "element of a date"),
    (Kind::AgeOver89, 'C', "AGE", "age over 89"),
    (Kind::Phone, 'D', "PHONE", "telephone number"),
    (Kind::Fax, 'E', "FAX", "fax number"),
    (Kind::Email, 'F', "EMAIL", "e-mail address"),
    (Kind::SocialSecurity, 'G', "SSN", "social security number"),
    (Kind::RecordNumber, 'H', "MRN", "medical record number"),
    (Kind::HealthPlan, 'I', "PLAN", "health plan number"),
    (Kind::Account, 'J', "ACCOUNT", "account number"),
    (Kind::Licence, 'K', "LICENCE", "certificate or licence number"),
    (Kind::Vehicle, 'L', "VEHICLE", "vehicle identifier"),
    (Kind::Device, 'M', "DEVICE", "device identifier"),
    (Kind::Url, 'N', "URL", "web address"),
    (Kind::Ip, 'O', "IP", "internet address"),
    (Kind::Biometric, 'P', "BIOMETRIC", "biometric identifier"),
    (Kind::Photo, 'Q', "PHOTO", "photograph"),
    (Kind::Other, 'R', "ID", "other unique identifier"),
];

impl Kind {
    /// All kinds, in the order of the rule.
    pub const ALL: [Self; 19] = {
        let mut all = [Self::Name; 19];
        let mut i = 0;
        while i < 19 {
            all[i] = KINDS[i].0;
            i += 1;
        }
        all
    };

    const fn row(self) -> (Self, char, &'static str, &'static str) {
        KINDS[self as usize]
    }

    /// Its letter in 45 CFR 164.514(b)(2)(i).
    pub const fn item(self) -> char {
        self.row().1
    }

    /// Its word in a placeholder, `NAME` in `[NAME_1]`.
    pub const fn word(self) -> &'static str {
        self.row().2
    }

    /// What it is, in lower case, for a sentence.
    pub const fn describe(self) -> &'static str {
        self.row().3
    }

    /// The kind that a placeholder's word names.
    pub fn from_word(word: &str) -> Option<Self> {
        KINDS.iter().find(|row| row.2.eq_ignore_ascii_case(word)).map(|row| row.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_kinds_and_covers_all_items() {
        for (i, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, i);
            assert_eq!(Kind::from_word(kind.word()), Some(kind));
        }
        let items: std::collections::BTreeSet<char> = Kind::ALL.iter().map(|k| k.item()).collect();
        assert_eq!(items.into_iter().collect::<String>(), "ABCDEFGHIJKLMNOPQR");
    }
}
