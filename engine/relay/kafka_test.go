//go:build kafka

package relay_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"

	"gridcase/domain/rule"
	"gridcase/engine"
	"gridcase/engine/relay"
)

// What Kafka is sent is looked at by sarama's broker for tests: the case is the key, so that it stays in one partition.
func TestKafkaIsSentTheCaseAsKey(t *testing.T) {
	b := sarama.NewMockBroker(t, 1)
	defer b.Close()
	b.SetHandlerByMap(map[string]sarama.MockResponse{
		"ApiVersionsRequest": sarama.NewMockApiVersionsResponse(t),
		"MetadataRequest":    sarama.NewMockMetadataResponse(t).SetBroker(b.Addr(), b.BrokerID()).SetLeader("events", 0, b.BrokerID()),
		"ProduceRequest":     sarama.NewMockProduceResponse(t).SetVersion(5),
	})
	p := relay.Broker{Kafka: []string{b.Addr()}}.Publisher(slog.New(slog.DiscardHandler))
	m := message.NewMessage("m-1", []byte(`{"id":"m-1"}`))
	m.Metadata.Set("case", "case-7")
	m.SetContext(context.Background())
	if err := p.Publish("events", m); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	produced := 0
	for _, h := range b.History() {
		if r, ok := h.Request.(*sarama.ProduceRequest); ok && r.RequiredAcks == sarama.WaitForAll {
			produced++
		}
	}
	if produced != 1 {
		t.Errorf("%d produce requests that wait for all replicas, want 1", produced)
	}
}

// A feed takes what a partition holds from its beginning, in order, and commits what it is done with.
func TestAFeedTakesWhatKafkaHolds(t *testing.T) {
	const topic, group = "in.demands", "gridcase-wechat"
	body := func(i int) sarama.Encoder {
		return sarama.StringEncoder(fmt.Sprintf(`{"specversion":"1.0","id":"m-%d","source":"/w","type":"gridcase.raise-demand","data":{"kind":"issue","channel":"wechat","community":%q,"text":"第%d件"}}`, i, community, i))
	}
	b := sarama.NewMockBroker(t, 1)
	defer b.Close()
	b.SetHandlerByMap(map[string]sarama.MockResponse{
		"ApiVersionsRequest":     sarama.NewMockApiVersionsResponse(t),
		"MetadataRequest":        sarama.NewMockMetadataResponse(t).SetBroker(b.Addr(), b.BrokerID()).SetLeader(topic, 0, b.BrokerID()),
		"OffsetRequest":          sarama.NewMockOffsetResponse(t).SetOffset(topic, 0, sarama.OffsetOldest, 0).SetOffset(topic, 0, sarama.OffsetNewest, 3),
		"FindCoordinatorRequest": sarama.NewMockFindCoordinatorResponse(t).SetCoordinator(sarama.CoordinatorGroup, group, b),
		"HeartbeatRequest":       sarama.NewMockHeartbeatResponse(t),
		"JoinGroupRequest":       sarama.NewMockJoinGroupResponse(t).SetGroupProtocol(sarama.RangeBalanceStrategyName),
		"SyncGroupRequest":       sarama.NewMockSyncGroupResponse(t).SetMemberAssignment(&sarama.ConsumerGroupMemberAssignment{Topics: map[string][]int32{topic: {0}}}),
		"LeaveGroupRequest":      sarama.NewMockLeaveGroupResponse(t),
		"OffsetFetchRequest":     sarama.NewMockOffsetFetchResponse(t).SetOffset(group, topic, 0, 0, "", sarama.ErrNoError).SetError(sarama.ErrNoError),
		"OffsetCommitRequest":    sarama.NewMockOffsetCommitResponse(t),
		"FetchRequest":           sarama.NewMockFetchResponse(t, 1).SetMessage(topic, 0, 0, body(1)).SetMessage(topic, 0, 1, body(2)).SetMessage(topic, 0, 2, body(3)),
	})
	o := &office{house: newHouse(t), answer: func(_ int, r engine.Request) error {
		if strings.HasSuffix(r.Key, "/m-2") {
			return rule.Refuse(rule.GuardFailed, "D1", "不可以", "it may not be")
		}
		return nil
	}}
	book, err := relay.OpenBook(t.Context(), filepath.Join(t.TempDir(), "relays.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	feeds, err := relay.OpenFeeds(t.Context(), o, book, []relay.Feed{{Name: "wechat", Unit: street, Broker: &relay.Broker{Kafka: []string{b.Addr()}}, Topic: topic}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); feeds.Status()[0].Taken < 2 || feeds.Status()[0].Refused < 1; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("got %+v, %+v", feeds.Status()[0], o.seen())
		}
	}
	if err := feeds.Close(); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, r := range o.seen() {
		keys = append(keys, r.Key)
	}
	if fmt.Sprint(keys) != "[feed/wechat/m-1 feed/wechat/m-2 feed/wechat/m-3]" {
		t.Errorf("the office was asked %v", keys)
	}
	commits := 0
	for _, h := range b.History() {
		if r, ok := h.Request.(*sarama.OffsetCommitRequest); ok {
			if offset, _, err := r.Offset(topic, 0); err == nil && offset == 3 {
				commits++
			}
		}
	}
	if commits == 0 {
		t.Error("that all three are done with was never committed")
	}
}
