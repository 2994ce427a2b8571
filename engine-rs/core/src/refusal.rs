//! Why the engine refuses. The texts are the policy's error codes: one list for both languages, in `spaces_ctl/policy/codes.py`,
//! from which this one is generated (`tools/generate_codes.py`).

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $code:literal / $wire:literal,)*) => {
        /// Why somebody may not enter, hear or speak.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
        pub enum Refusal { $($(#[$doc])* #[error($code)] $name,)* }

        impl Refusal {
            /// Every refusal.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
            /// The policy's code, as the HTTP API shows it.
            #[must_use]
            pub const fn code(self) -> &'static str { match self { $(Self::$name => $code,)* } }
            /// The refusal of a policy code.
            #[must_use]
            pub fn parse(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|refusal| refusal.code() == code)
            }
            /// The application error code with which a connection is closed.
            #[must_use]
            pub const fn wire(self) -> u32 { match self { $(Self::$name => $wire,)* } }
        }
    };
}

include!("refusal/codes.rs");
