package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input"
	"github.com/picket-dns/picket/internal/intake"
	"github.com/picket-dns/picket/internal/transport"
)

// consume takes topics of Kafka. A partition's next offset is stored in the same
// commit as what came before it, and told to the group afterwards.
func (in *liveInput) consume(ctx context.Context, running *sync.WaitGroup) error {
	c := in.cfg.Kafka
	cfg := transport.KafkaConfig{
		Brokers: c.Brokers, Topics: c.Topics, Group: c.Group, Instance: in.instance(), SASL: c.SASL, User: c.User, PasswordFile: c.PasswordFile,
		Resume: func(topic string, partition int32) (int64, bool) {
			next, err := strconv.ParseInt(string(in.desk.Position(partitionKey(topic, partition))), 10, 64)
			return next, err == nil
		},
		Failed: in.fail,
	}
	if c.TLS || c.CAFile != "" {
		t, err := clientTLS(c.CAFile)
		if err != nil {
			return err
		}
		cfg.TLS = t
	}
	k, err := transport.NewKafka(cfg, in.takeBatch)
	if err != nil {
		return err
	}
	in.d.log.Info("consuming", "input", in.cfg.Name, "topics", c.Topics, "group", c.Group)
	running.Go(func() {
		if err := k.Run(ctx); err != nil && ctx.Err() == nil {
			in.fail(err)
		}
	})
	return nil
}

// instance names this input of this store among all consumers, the same after a restart.
func (in *liveInput) instance() string {
	host, _ := os.Hostname()
	sum := sha256.Sum256([]byte(host + "\x00" + in.d.cfg.DataDir + "\x00" + in.cfg.Name))
	return "picket-" + hex.EncodeToString(sum[:8])
}

func partitionKey(topic string, partition int32) string {
	return fmt.Sprintf("kafka:%s/%d", topic, partition)
}

// takeBatch takes in consecutive messages of a partition. Messages of a format
// that is lines of text are read as one text, all others one by one.
func (in *liveInput) takeBatch(ctx context.Context, b *transport.Batch) error {
	key := partitionKey(b.Topic, b.Partition)
	if next, err := strconv.ParseInt(string(in.desk.Position(key)), 10, 64); err == nil && next > b.Last {
		return nil // stored, but the group was not told
	} else if err == nil {
		for len(b.Records) > 0 && b.Records[0].Offset < next {
			b.Records = b.Records[1:]
		}
	}
	position := map[string][]byte{key: strconv.AppendInt(nil, b.Last+1, 10)}
	fm, known := in.formatOf(b)
	if known && fm.Kind == picket.KindRecord && fm.Shape == input.ShapeDocument {
		return in.takeDocuments(ctx, b, key)
	}
	s := in.desk.Stream(intake.StreamConfig{Name: key, Format: in.cfg.Format})
	in.fine()
	switch {
	case known && (fm.Shape == input.ShapeLines || fm.Shape == input.ShapeText):
		in.takeMessage(ctx, s, &messages{records: b.Records}, key)
	case known && fm.Prefixed:
		fit := b.Records[:0:0]
		for _, r := range b.Records {
			if len(r.Value) > math.MaxUint16 {
				s.Reject("message too long", picket.Position{})
			} else if len(r.Value) > 0 { // without a value it is the mark of a deletion
				fit = append(fit, r)
			}
		}
		in.takeMessage(ctx, s, &messages{records: fit, prefixed: true}, key)
	default:
		for _, r := range b.Records {
			in.takeMessage(ctx, s, bytes.NewReader(r.Value), fmt.Sprintf("%s@%d", key, r.Offset))
		}
	}
	return in.commit(ctx, s, position)
}

// takeDocuments takes in messages each of which says what is there. They follow
// each other by their keys, and count one by one: what one says, the next may undo.
func (in *liveInput) takeDocuments(ctx context.Context, b *transport.Batch, key string) error {
	for i := range b.Records {
		r := &b.Records[i]
		name := fmt.Sprintf("%s@%d", key, r.Offset)
		s := in.desk.Stream(intake.StreamConfig{Name: key, Format: in.cfg.Format})
		in.fine()
		if len(r.Value) == 0 && len(r.Key) > 0 { // the mark of a deletion
			in.observeEnd(s, picket.RecordObservation{Scope: string(r.Key), Method: picket.MethodPush, Time: r.Time})
		} else if fm, ok := in.takeMessage(ctx, s, bytes.NewReader(r.Value), name); ok {
			in.observe(s, fm, picket.RecordObservation{Scope: string(r.Key), Method: picket.MethodPush, Time: r.Time})
		}
		next := r.Offset + 1
		if i == len(b.Records)-1 {
			next = b.Last + 1
		}
		if err := in.commit(ctx, s, map[string][]byte{key: strconv.AppendInt(nil, next, 10)}); err != nil {
			return err
		}
	}
	return nil
}

// takeMessage decodes into a stream that goes on whatever becomes of it: what is
// wrong with a message is a rejected record.
func (in *liveInput) takeMessage(ctx context.Context, s *intake.Stream, r io.Reader, name string) (input.Format, bool) {
	fm, err := in.decodeWhole(ctx, r, name, s, s)
	if err != nil {
		in.fail(fmt.Errorf("%s: %w", name, err))
		s.Reject(reasonUnreadable, picket.Position{})
	}
	return fm, err == nil
}

// formatOf tells the format of a batch, by its first message where need be.
func (in *liveInput) formatOf(b *transport.Batch) (input.Format, bool) {
	if f, ok := input.ByName(in.cfg.Format); ok {
		return f, true
	}
	for _, r := range b.Records {
		if len(r.Value) > 0 {
			f, _, err := input.Open(bytes.NewReader(r.Value), input.Auto)
			return f, err == nil
		}
	}
	return input.Format{}, false
}

// messages reads the values of records as one stream: as lines, or with the length
// of each before it, so that a query and its response find each other.
type messages struct {
	records  []transport.BatchRecord
	prefixed bool // none is longer than 16 bits can say
	rest     []byte
	open     bool // a line's end is due
}

// Read implements io.Reader.
func (m *messages) Read(b []byte) (int, error) {
	for len(m.rest) == 0 {
		if m.open {
			m.open, m.rest = false, []byte{'\n'}
			break
		}
		if len(m.records) == 0 {
			return 0, io.EOF
		}
		v := m.records[0].Value
		m.records = m.records[1:]
		if m.prefixed {
			m.rest = append(binary.BigEndian.AppendUint16(nil, uint16(len(v))), v...)
			continue
		}
		m.rest, m.open = bytes.TrimRight(v, "\r\n"), true
	}
	n := copy(b, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}

// bucket takes the objects of a bucket. An object is marked in the commit that
// makes what is in it count.
func (in *liveInput) bucket(ctx context.Context, running *sync.WaitGroup) error {
	c := in.cfg.Bucket
	cfg := transport.BucketConfig{
		Bucket: c.Name, Prefix: c.Prefix, Region: c.Region, Endpoint: c.Endpoint, PathStyle: c.Endpoint != "",
		CredentialsFile: c.CredentialsFile, Queue: c.Queue, Poll: c.Poll,
		Done: func(key, etag string) bool {
			_, err := in.desk.Marked(context.WithoutCancel(ctx), objectMark(key, etag))
			return err == nil && string(in.desk.Position(endedObject+key)) != etag
		},
		Failed:  func(key string, err error) { in.fail(fmt.Errorf("object %q: %w", key, err)) },
		Listing: in.listing,
	}
	if f, ok := input.ByName(in.cfg.Format); ok && f.Kind == picket.KindRecord {
		// Exports follow each other: in the order of their keys, which is that of their
		// dates. There are few, so that the whole bucket is listed each time.
		cfg.Workers, cfg.Relist = 1, time.Nanosecond
	}
	b, err := transport.NewBucket(ctx, cfg, in.takeObject)
	if err != nil {
		return err
	}
	in.d.log.Info("reading objects", "input", in.cfg.Name, "bucket", c.Name, "prefix", c.Prefix)
	running.Go(func() {
		if err := b.Run(ctx); err != nil && ctx.Err() == nil {
			in.fail(err)
		}
	})
	return nil
}

func objectMark(key, etag string) string { return "object:" + key + "@" + etag }

func (in *liveInput) takeObject(ctx context.Context, o *transport.Object) error {
	settle := func(fm input.Format, seen *recordsSeen) documentPlace { return in.placeObject(o, fm, seen) }
	_, _, err := in.takeWhole(ctx, o.Body, o.Key, settle, func(picket.InputCounts) []picket.DeliveryMark {
		return []picket.DeliveryMark{{Key: objectMark(o.Key, o.ETag)}}
	})
	return err
}

// clientTLS trusts the authorities in a file, or the system's.
func clientTLS(caFile string) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile == "" {
		return cfg, nil
	}
	b, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	cfg.RootCAs = x509.NewCertPool()
	if !cfg.RootCAs.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s: no certificate in it; want PEM", caFile)
	}
	return cfg, nil
}
