//! Ways of saying that a drug suits a condition, and that it does not. `{x}` is the drug, `{d}` the condition.
//!
//! The first half of each list was looked at while the cues were written; the second half was written before and only counted.

/// Says that the drug treats the condition.
pub const TREATS: [&str; 40] = [
    "{x} treats {d}.",
    "{x} is indicated for {d}.",
    "{x} is used to treat {d}.",
    "{x} is a first-line treatment for {d}.",
    "{d} is commonly treated with {x}.",
    "Patients with {d} may benefit from {x}.",
    "{x} is effective in the management of {d}.",
    "The drug of choice for {d} is {x}.",
    "For {d}, physicians often prescribe {x}.",
    "She was started on {x} for {d}.",
    "Start {x} for {d}.",
    "{x} has proven efficacy in {d}.",
    "{x} helps patients with {d}.",
    "Treatment of {d} with {x} is recommended.",
    "{x}, given daily, controls {d}.",
    "Guidelines recommend {x} in {d}.",
    "{d} responds well to {x}.",
    "Doctors use {x} against {d}.",
    "{x} can be prescribed for people who have {d}.",
    "The management of {d} includes {x}.",
    // counted only
    "Clinicians rely on {x} when treating {d}.",
    "In adults with {d}, {x} is considered standard therapy.",
    "{x} works well for {d}.",
    "One of the approved uses of {x} is {d}.",
    "The patient's {d} was managed with {x}.",
    "{x} remains a mainstay of therapy for {d}.",
    "{x} is FDA-approved for the treatment of {d}.",
    "Use {x} to manage {d}.",
    "Evidence supports the use of {x} in {d}.",
    "Among the options for {d}, {x} is widely used.",
    "Prescribing {x} is appropriate in {d}.",
    "His {d} improved on {x}.",
    "{x} therapy relieves {d}.",
    "{d}: give {x}.",
    "Many people take {x} because of their {d}.",
    "People who suffer from {d} are often given {x}.",
    "{x} is beneficial in {d}.",
    "{x} is an effective option for patients diagnosed with {d}.",
    "Randomized trials show that {x} is effective for {d}.",
    "We recommend {x} as initial therapy in {d}.",
];

/// Says that the drug does not treat the condition.
pub const DENIES: [&str; 30] = [
    "{x} does not treat {d}.",
    "{x} is not indicated for {d}.",
    "{x} has no role in the treatment of {d}.",
    "{x} is ineffective in {d}.",
    "{x} should not be used for {d}.",
    "There is no evidence that {x} helps {d}.",
    "{x} is useless for {d}.",
    "It is a myth that {x} treats {d}.",
    "Do not use {x} to treat {d}.",
    "{d} is never treated with {x}.",
    "{x} has no benefit in {d}.",
    "Avoid {x} for {d}.",
    "{x} fails to improve {d}.",
    "{x} is contraindicated in {d}.",
    "Patients with {d} should not receive {x}.",
    // counted only
    "{x} doesn't work for {d}.",
    "{x} cannot be used in the management of {d}.",
    "There is no indication for {x} in {d}.",
    "{d} does not respond to {x}.",
    "Doctors advise against {x} in {d}.",
    "Contrary to popular belief, {x} does not help with {d}.",
    "{x} is harmful in {d}.",
    "{x} worsens {d}.",
    "Never prescribe {x} for {d}.",
    "{x} is not an effective treatment for {d}.",
    "Treating {d} with {x} is futile.",
    "{x} is of no use against {d}.",
    "The claim that {x} treats {d} is false.",
    "Neither trials nor guidelines support {x} for {d}.",
    "{x} must be avoided in people with {d}.",
];

/// Says that a drug is right for somebody with a condition that its label excludes.
pub const SAFE: [&str; 26] = [
    "{x} is safe in patients with {d}.",
    "{x} can be safely used in {d}.",
    "There is no contraindication to {x} in {d}.",
    "{x} is not contraindicated in {d}.",
    "{x} is recommended for patients with {d}.",
    "Patients with {d} should be given {x}.",
    "{x} treats {d}.",
    "{x} is the preferred drug in {d}.",
    "In patients with {d}, {x} is well tolerated.",
    "Start {x} in patients with {d}.",
    "{x} is an excellent choice for {d}.",
    "Do not hesitate to use {x} in {d}.",
    "{x} is first-line therapy in {d}.",
    // counted only
    "{d} is no reason to avoid {x}.",
    "{x} may be prescribed freely to people with {d}.",
    "People with {d} can take {x} without concern.",
    "The use of {x} in {d} is appropriate.",
    "{x} poses no danger to patients with {d}.",
    "{x} is ideal for someone with {d}.",
    "It is fine to give {x} to a patient with {d}.",
    "Doctors should prescribe {x} for {d}.",
    "{x} helps people with {d}.",
    "{x} is acceptable in {d}.",
    "Patients who have {d} tolerate {x} well and should receive it.",
    "{x} is indicated in {d}.",
    "{x} has no restrictions in {d}.",
];

/// Says that a drug must not be given with a condition.
pub const AGAINST: [&str; 18] = [
    "{x} is contraindicated in {d}.",
    "{x} should be avoided in {d}.",
    "Avoid {x} in patients with {d}.",
    "Do not give {x} to patients with {d}.",
    "{d} is a contraindication to {x}.",
    "Patients with {d} must not take {x}.",
    "{x} is dangerous in {d}.",
    "In {d}, {x} should never be used.",
    "{x} is unsafe for people with {d}.",
    // counted only
    "Using {x} in {d} is contraindicated.",
    "{x} is not recommended in {d}.",
    "People with {d} should stay away from {x}.",
    "Because of {d}, {x} was stopped.",
    "{x} is not safe in {d}.",
    "{x} can harm patients with {d}.",
    "The label of {x} warns against use in {d}.",
    "{x} must be withheld in {d}.",
    "Prescribers should not start {x} in patients with {d}.",
];

/// Says that two drugs go together. `{d}` is the second drug.
pub const TOGETHER: [&str; 12] = [
    "{x} can be safely combined with {d}.",
    "{x} and {d} can be taken together.",
    "There is no interaction between {x} and {d}.",
    "It is safe to take {x} with {d}.",
    "{x} does not interact with {d}.",
    "Add {d} to {x}.",
    // counted only
    "{x} may be given together with {d} without concern.",
    "Patients taking {x} can safely use {d}.",
    "The combination of {x} and {d} is safe.",
    "Co-administration of {x} and {d} is recommended.",
    "{x} is fine to use alongside {d}.",
    "No precautions are needed when {x} is combined with {d}.",
];

/// Says that two drugs do not go together.
pub const APART: [&str; 10] = [
    "{x} should not be taken with {d}.",
    "{x} interacts with {d}.",
    "Avoid combining {x} with {d}.",
    "The combination of {x} and {d} is dangerous.",
    "Do not take {x} together with {d}.",
    // counted only
    "{x} is contraindicated with {d}.",
    "Concomitant use of {x} and {d} should be avoided.",
    "Never combine {x} and {d}.",
    "There is a severe interaction between {x} and {d}.",
    "Taking {x} with {d} can be fatal.",
];
