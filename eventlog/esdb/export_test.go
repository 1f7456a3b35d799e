package esdb

import (
	"context"

	"google.golang.org/grpc"
)

// OpenWith opens a log whose connections have more options, so that a test can plant a bug between the log and the server.
func OpenWith(ctx context.Context, connection string, o Options, dialing ...grpc.DialOption) (*Log, error) {
	s, err := parse(connection)
	if err != nil {
		return nil, err
	}
	s.dialing = append(s.dialing, dialing...)
	return open(ctx, s, o)
}
