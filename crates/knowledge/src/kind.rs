//! What a node and an edge of the graph can be.

/// Makes an enum with a stable number and a name per case.
macro_rules! kinds {
    ($(#[$doc:meta])* $name:ident { $($(#[$case_doc:meta])* $case:ident = $number:literal $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$case_doc])* $case = $number),+ }

        impl $name {
            /// All cases, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$case),+];

            /// The number that stands in files; never reused.
            pub const fn number(self) -> u8 { self as u8 }

            /// The case of a number, if it has one.
            pub fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$case),)+ _ => None }
            }

            /// The word for it in files and output.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$case => $word),+ }
            }

            /// The case of a word, if it has one; upper and lower case are the same.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|k| k.word().eq_ignore_ascii_case(word.trim()))
            }
        }
    };
}

kinds! {
    /// What a node is.
    NodeKind {
        /// A drug as an ingredient.
        Drug = 1 "drug",
        /// A class of drugs.
        Class = 2 "drug-class",
        /// A product of several ingredients.
        Product = 3 "product",
        /// A disease or condition.
        Disease = 4 "disease",
        /// A sign, symptom or other phenotype.
        Phenotype = 5 "phenotype",
        /// A measurement.
        Test = 6 "test",
        /// An organism.
        Organism = 7 "organism",
        /// A procedure.
        Procedure = 8 "procedure",
        /// Whatever else a source has: genes, proteins, pathways, anatomy.
        Other = 9 "other",
    }
}

kinds! {
    /// What an edge says of its two nodes.
    EdgeKind {
        /// The drug treats, prevents or modifies the disease by an approved or accepted indication.
        Indicates = 1 "indicates",
        /// The drug eases symptoms of the disease.
        TreatsSymptom = 2 "treats-symptom",
        /// The drug prevents the disease.
        Prevents = 3 "prevents",
        /// The drug must not be given to somebody with the condition.
        Contraindicated = 4 "contraindicated",
        /// The drug was judged not to treat the disease.
        NotIndicated = 5 "not-indicated",
        /// The two drugs must not be combined, or only with care; see the severity.
        Interacts = 6 "interacts",
        /// The first node is a kind of the second.
        IsA = 7 "is-a",
        /// The first node brings about the second.
        Causes = 8 "causes",
        /// The product holds the drug.
        HasIngredient = 9 "has-ingredient",
        /// The two go together; nothing is said about why.
        AssociatedWith = 10 "associated-with",
        /// The drug is given with care or in a lower dose to somebody with the condition.
        Caution = 11 "caution",
    }
}

kinds! {
    /// How much an interaction matters. Edges of other kinds have `Unstated`.
    Severity {
        /// The source does not say.
        Unstated = 0 "unstated",
        /// Worth knowing.
        Minor = 1 "minor",
        /// Watch, or change the dose.
        Moderate = 2 "moderate",
        /// May harm seriously; avoid where possible.
        Severe = 3 "severe",
        /// Never together.
        Contraindicated = 4 "contraindicated",
    }
}

kinds! {
    /// Way of giving a drug.
    Route {
        /// Not stated.
        Any = 0 "any",
        /// By mouth.
        Oral = 1 "oral",
        /// Into a vein.
        Intravenous = 2 "iv",
        /// Into a muscle.
        Intramuscular = 3 "im",
        /// Under the skin.
        Subcutaneous = 4 "sc",
        /// Breathed in.
        Inhaled = 5 "inhaled",
        /// Through the skin, as a patch.
        Transdermal = 6 "transdermal",
        /// On the skin, the eye or a mucous membrane.
        Topical = 7 "topical",
        /// Into the nose.
        Nasal = 8 "nasal",
        /// Into the rectum.
        Rectal = 9 "rectal",
        /// Under the tongue.
        Sublingual = 10 "sublingual",
    }
}

kinds! {
    /// Unit of an amount.
    Unit {
        /// Milligram.
        Milligram = 1 "mg",
        /// International or other units of activity.
        Units = 2 "units",
        /// Milliequivalent.
        Milliequivalent = 3 "mEq",
        /// Millilitre.
        Millilitre = 4 "mL",
    }
}

kinds! {
    /// What an amount is counted over.
    Per {
        /// A day.
        Day = 1 "day",
        /// A week.
        Week = 2 "week",
        /// One giving.
        Dose = 3 "dose",
    }
}
