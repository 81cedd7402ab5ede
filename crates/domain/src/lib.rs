//! L0: the vocabulary every other crate speaks.
//!
//! Nothing here does I/O, reads a clock or draws randomness. A value of one of these types is valid by
//! construction: parsing happens at the edge, once, into newtypes with private fields.

mod catalogue;
mod control;
mod digest;
mod evidence;
mod exchange;
mod feature;
mod id;
mod outcome;
mod phi;
mod record;
mod stage;
mod tensor;
mod time;
mod verdict;

pub use catalogue::{Entry, Kind, REQUIRED_HEADINGS};
pub use control::{Control, Place, Requirement, Subject, SubjectRole};
pub use digest::{Digest, DigestParseError, Hasher};
pub use evidence::{Acceptance, Evidence, Metric};
pub use exchange::{InferenceReply, InferenceRequest};
pub use feature::{Feature, FeatureKind, InputSchema, Mutability, UnitAlternative};
pub use id::{ClientId, IdError, KeyId, SystemId};
pub use outcome::{Doubt, Finding, Location, Outcome, Severity};
pub use phi::Phi;
pub use record::{GuardNote, Record};
pub use stage::{Stage, UnknownStage};
pub use tensor::{DataType, Tensor, TensorData, TensorError};
pub use time::{Clock, Timestamp};
pub use verdict::{Advice, GuardMode, GuardVerdict, OnInconclusive, Receipt};
