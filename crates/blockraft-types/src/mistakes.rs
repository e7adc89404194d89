//! Known mistakes that a build with `--cfg seeded_bugs` can make, so that tests prove that they would notice them.

/// Declares an enum of mistakes, and for each `is_made()`, which code asks where it would go wrong.
///
/// Only builds with `--cfg seeded_bugs` can choose a mistake, for the thread that asks; everywhere else the question is the
/// constant `false`, and the compiler drops the branches.
///
/// ```
/// mod mistake {
///     blockraft_types::mistakes! {
///         /// A mistake in counting.
///         pub enum Mistake {
///             /// Half of the members count as all.
///             HalfSuffices,
///         }
///     }
/// }
/// use mistake::Mistake;
///
/// let needed = if Mistake::HalfSuffices.is_made() { 2 } else { 4 };
/// assert_eq!(needed, 4);
/// ```
#[macro_export]
macro_rules! mistakes {
    ($(#[$about:meta])* pub enum $Mistake:ident { $($(#[$what:meta])* $name:ident,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(not(seeded_bugs), expect(unreachable_pub, reason = "only seeded builds name it from outside"))]
        pub enum $Mistake {
            $($(#[$what])* $name,)+
        }

        impl $Mistake {
            /// Every one of them.
            #[cfg(seeded_bugs)]
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Whatever this thread runs makes it from now on; or nothing does.
            #[cfg(seeded_bugs)]
            pub fn choose(mistake: Option<Self>) {
                CHOSEN.set(mistake);
            }

            /// Whether it is made.
            #[cfg(seeded_bugs)]
            pub(crate) fn is_made(self) -> bool {
                CHOSEN.get() == Some(self)
            }

            /// Whether it is made: never.
            #[cfg(not(seeded_bugs))]
            #[expect(clippy::unused_self, reason = "the same call as in a seeded build")]
            pub(crate) const fn is_made(self) -> bool {
                false
            }
        }

        #[cfg(seeded_bugs)]
        ::std::thread_local! {
            static CHOSEN: ::core::cell::Cell<Option<$Mistake>> = const { ::core::cell::Cell::new(None) };
        }
    };
}
