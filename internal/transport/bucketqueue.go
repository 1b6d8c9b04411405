package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const (
	// queueWait is how long the queue holds an answer back while it is empty.
	queueWait = 20 * time.Second
	// queueBatch is the most messages that SQS gives at once.
	queueBatch = 10
)

// receive handles the objects that the queue tells of. A message is deleted when
// all of its objects are done with; otherwise the queue gives it again, or puts
// it where its redrive policy says.
func (b *Bucket) receive(ctx context.Context) {
	var work sync.WaitGroup
	defer work.Wait()
	slots := make(chan struct{}, b.cfg.Workers)
	wait := retryFirst
	for ctx.Err() == nil {
		// Messages are asked for only when somebody is free, since they are hidden
		// from other readers while they wait here.
		select {
		case <-ctx.Done():
			return
		case slots <- struct{}{}:
		}
		out, err := b.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &b.cfg.Queue, MaxNumberOfMessages: int32(min(queueBatch, 1+cap(slots)-len(slots))),
			WaitTimeSeconds: int32(queueWait / time.Second), VisibilityTimeout: int32(b.cfg.Hidden / time.Second),
		})
		<-slots
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			b.failed("", fmt.Errorf("queue %s: %w", b.cfg.Queue, err))
			if !pause(ctx, wait) {
				return
			}
			wait = min(2*wait, retryLast)
			continue
		}
		wait = retryFirst
		for _, m := range out.Messages {
			slots <- struct{}{} // one that handles will end, also when ctx does
			work.Go(func() {
				defer func() { <-slots }()
				b.message(ctx, m)
			})
		}
	}
}

// message handles what one message tells of.
func (b *Bucket) message(ctx context.Context, m types.Message) {
	id := aws.ToString(m.MessageId)
	told, err := notified([]byte(aws.ToString(m.Body)))
	if err != nil {
		b.failed("", fmt.Errorf("queue %s: message %s is left alone: %w", b.cfg.Queue, id, err))
		return
	}
	stop := b.keepHidden(ctx, m.ReceiptHandle)
	ok := true
	for _, o := range told {
		if err := b.told(ctx, o); err != nil {
			if ctx.Err() != nil {
				ok = false
				break
			}
			b.failed(o.Key, err)
			ok = ok && gone(err)
		}
	}
	stop()
	if !ok {
		return
	}
	// Done is done, also when ctx has ended since.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), kafkaCommit)
	defer cancel()
	if _, err := b.sqs.DeleteMessage(end, &sqs.DeleteMessageInput{QueueUrl: &b.cfg.Queue, ReceiptHandle: m.ReceiptHandle}); err != nil {
		b.failed("", fmt.Errorf("queue %s: delete message %s: %w", b.cfg.Queue, id, err))
	}
}

// keepHidden keeps a message from other readers until the returned function is
// called.
func (b *Bucket) keepHidden(ctx context.Context, receipt *string) func() {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		for pause(ctx, b.cfg.Hidden/2) {
			_, err := b.sqs.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
				QueueUrl: &b.cfg.Queue, ReceiptHandle: receipt, VisibilityTimeout: int32(b.cfg.Hidden / time.Second),
			})
			if err != nil && ctx.Err() == nil {
				b.failed("", fmt.Errorf("queue %s: keep message: %w", b.cfg.Queue, err))
			}
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

// told handles one object that a message tells of.
func (b *Bucket) told(ctx context.Context, o Object) error {
	if b.cfg.Bucket != "" && o.Bucket != b.cfg.Bucket || !strings.HasPrefix(o.Key, b.cfg.Prefix) {
		return nil
	}
	// What is there now counts, which may be newer than the message.
	head, err := b.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &o.Bucket, Key: &o.Key})
	if err != nil {
		return err
	}
	o.ETag = strings.Trim(aws.ToString(head.ETag), `"`)
	o.Size, o.Modified = aws.ToInt64(head.ContentLength), aws.ToTime(head.LastModified)
	if o.Size == 0 || b.tooLarge(&o) || b.cfg.Done != nil && b.cfg.Done(o.Key, o.ETag) {
		return nil
	}
	return b.take(ctx, o)
}

// notification is a message in any of the forms that S3's events come in.
type notification struct {
	// As S3 sends them.
	Event   string // s3:TestEvent, when notifications are set up
	Records []struct {
		EventName string
		S3        notifiedObject
	}
	// As SNS wraps them.
	Type, Message string
	// As EventBridge sends them.
	DetailType string `json:"detail-type"`
	Detail     notifiedObject
	// As CloudTrail announces its own files.
	S3Bucket    string
	S3ObjectKey []string
}

type notifiedObject struct {
	Bucket struct{ Name string }
	Object struct{ Key string }
}

// notified returns the objects that a message says were created.
func notified(body []byte) ([]Object, error) {
	for range 3 { // SNS may wrap what SNS wrapped
		var n notification
		if err := json.Unmarshal(body, &n); err != nil {
			return nil, fmt.Errorf("no JSON: %w", err)
		}
		switch {
		case n.Type == "Notification" && n.Message != "":
			body = []byte(n.Message)
			continue
		case n.Event == "s3:TestEvent":
			return nil, nil
		case len(n.Records) > 0:
			return n.created()
		case n.DetailType != "":
			if n.DetailType != "Object Created" {
				return nil, nil
			}
			return objectOf(nil, n.Detail.Bucket.Name, n.Detail.Object.Key)
		case n.S3Bucket != "":
			var list []Object
			for _, key := range n.S3ObjectKey {
				var err error
				if list, err = objectOf(list, n.S3Bucket, key); err != nil {
					return nil, err
				}
			}
			return list, nil
		}
		break
	}
	return nil, errors.New("no notification of S3, as it is, by SNS or by EventBridge")
}

// created returns the objects of S3's own form, where keys are written as in a
// query string.
func (n *notification) created() (list []Object, err error) {
	for _, r := range n.Records {
		if !strings.HasPrefix(strings.TrimPrefix(r.EventName, "s3:"), "ObjectCreated:") {
			continue
		}
		key, err := url.QueryUnescape(r.S3.Object.Key)
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", r.S3.Object.Key, err)
		}
		if list, err = objectOf(list, r.S3.Bucket.Name, key); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func objectOf(list []Object, bucket, key string) ([]Object, error) {
	if bucket == "" || key == "" {
		return nil, errors.New("a notification without bucket or key")
	}
	return append(list, Object{Bucket: bucket, Key: key}), nil
}
