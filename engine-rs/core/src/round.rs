//! A walk over a long list in parts: everybody once, beginning with whoever came after the last one that was served.
//!
//! A large audience takes tens of milliseconds to serve, in which speakers must be heard: so it is served in parts, and what
//! comes in meanwhile is taken between them. Who comes first changes from walk to walk, so that nobody is always the last.

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Round {
    next: usize,
    left: usize,
}

impl Round {
    /// From now on everybody of a list of this length is to be visited, whoever was visited just before too.
    pub(crate) const fn begin(&mut self, length: usize) {
        self.left = length;
    }

    /// Somebody is still to be visited.
    pub(crate) const fn is_under_way(&self) -> bool {
        self.left > 0
    }

    /// The place of the next one, in a list that has this length by now.
    pub(crate) const fn step(&mut self, length: usize) -> Option<usize> {
        if length == 0 {
            self.left = 0;
        }
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let index = if self.next < length { self.next } else { 0 };
        self.next = index + 1;
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_visited_once_and_who_was_last_is_first_next_time() {
        let mut round = Round::default();
        assert_eq!(round.step(3), None);
        round.begin(5);
        assert_eq!([round.step(5), round.step(5)], [Some(0), Some(1)]);
        round.begin(5);
        let rest: Vec<_> = std::iter::from_fn(|| round.step(5)).collect();
        assert_eq!(rest, [2, 3, 4, 0, 1]);
        assert!(!round.is_under_way());
    }

    #[test]
    fn a_list_that_shrinks_or_empties_ends_the_walk_in_it() {
        let mut round = Round::default();
        round.begin(6);
        assert_eq!([round.step(6), round.step(6), round.step(2)], [Some(0), Some(1), Some(0)]);
        assert_eq!(round.step(0), None);
        assert!(!round.is_under_way());
    }
}
