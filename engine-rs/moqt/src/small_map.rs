//! A map of few entries, in the memory that these need: a `BTreeMap` has room for eleven in its smallest node.

/// Entries in the order of their keys. Finding one is a binary search, inserting and removing moves those behind it.
#[derive(Debug)]
pub(crate) struct SmallMap<K, V> {
    entries: Vec<(K, V)>,
}

impl<K, V> Default for SmallMap<K, V> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<K: Ord + Copy, V> SmallMap<K, V> {
    fn place(&self, key: &K) -> Result<usize, usize> {
        self.entries.binary_search_by(|(other, _)| other.cmp(key))
    }

    pub(crate) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Puts `value` in the place of what was there.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        match self.place(&key) {
            Ok(index) => {
                if let Some(entry) = self.entries.get_mut(index) {
                    entry.1 = value;
                }
            }
            Err(index) => {
                // A vector's own first step is to four.
                if self.entries.len() == self.entries.capacity() {
                    self.entries.reserve_exact(self.entries.len().max(1));
                }
                self.entries.insert(index, (key, value));
            }
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let index = self.place(key).ok()?;
        self.entries.get(index).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let index = self.place(key).ok()?;
        self.entries.get_mut(index).map(|(_, value)| value)
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.place(key).is_ok()
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let index = self.place(key).ok()?;
        Some(self.entries.remove(index).1)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.iter().map(|(_, value)| value)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.iter_mut().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn it_is_a_map_in_the_order_of_its_keys() {
        let (mut small, mut large) = (SmallMap::default(), BTreeMap::new());
        let mut seed = 1u64;
        for step in 0..5_000u64 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = (seed >> 33) % 40;
            if seed >> 62 == 0 {
                assert_eq!(small.remove(&key), large.remove(&key));
            } else {
                small.insert(key, step);
                large.insert(key, step);
            }
            assert_eq!(small.contains_key(&key), large.contains_key(&key));
            assert_eq!(small.get(&key), large.get(&key));
            assert_eq!(small.get_mut(&key), large.get_mut(&key));
            assert_eq!(small.len(), large.len());
            assert!(small.iter().eq(large.iter()));
            assert!(small.values().eq(large.values()));
            assert!(small.values_mut().eq(large.values_mut()));
        }
    }

    #[test]
    fn one_entry_takes_the_room_of_one() {
        let mut small = SmallMap::default();
        small.insert(7, [0u8; 100]);
        assert_eq!(small.entries.capacity(), 1);
    }
}
