package keys

// Raw returns the key itself, to look for where it must not be.
func Raw(k Key) [32]byte { return k.dek }

// Careless makes a store sweep as if nobody else had the folder open.
func (s *Store) Careless() { s.whole = true }
