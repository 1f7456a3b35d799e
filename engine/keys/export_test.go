package keys

// Raw returns the key itself, to look for where it must not be.
func Raw(k Key) [32]byte { return k.dek }
