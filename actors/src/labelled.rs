//! Enums whose values have a name outside of the program: on the wire, in logs, in metrics.

/// Makes an enum with `ALL` of its values, and `as_str` for the name of one.
macro_rules! labelled {
    ($(#[$about:meta])* pub enum $type:ident { $($(#[$doc:meta])* $name:ident = $label:literal,)* }) => {
        $(#[$about])*
        pub enum $type { $($(#[$doc])* $name,)* }

        impl $type {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }
        }
    };
}
pub(crate) use labelled;
