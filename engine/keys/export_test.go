package keys

import "time"

// Raw returns the key itself, to look for where it must not be.
func Raw(k Key) [32]byte { return k.dek }

// Careless makes a store sweep as if nobody else held a key.
func (s *Store) Careless() { s.keeper.(*folder).whole = true }

// At stops a store's clock at an instant.
func (s *Store) At(now time.Time) { s.now = func() time.Time { return now } }

// Later makes a store believe that time has gone by.
func (s *Store) Later(d time.Duration) { s.now = func() time.Time { return time.Now().Add(d) } }
