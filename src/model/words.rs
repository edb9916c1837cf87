//! Enums whose values have a word each, the same in files and reports.

/// Declares such an enum: its values in order as `ALL`, their words as `as_str`, by `Display` and
/// in files.
macro_rules! words {
    ($(#[$about:meta])* $access:vis enum $name:ident {
        $($(#[$doc:meta])+ $value:ident = $word:literal,)+
    }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(serde::Serialize, serde::Deserialize)]
        $access enum $name {
            $($(#[$doc])+ #[serde(rename = $word)] $value,)+
        }

        impl $name {
            /// All of them, in order.
            #[allow(dead_code)] // Not every such list is needed.
            pub const ALL: &[$name] = &[$($name::$value,)+];

            /// The word used in files and reports.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$value => $word,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}
pub(crate) use words;
