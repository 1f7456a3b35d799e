package sqlite

// For tests outside the package.
const (
	TailEvents = tailEvents
	HeadsKept  = headsKept
)

var (
	Checksum = checksum
	Older    = older
)

// OnWriter runs a statement on the writing connection. The log must be idle.
func (l *Log) OnWriter(sql string) error { return l.writer.session.exec(sql) }
