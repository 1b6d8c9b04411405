package transport

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// list lists the bucket again and again. Keys need not be in the order of time:
// keys behind the greatest one seen are found at each look, those before it when
// the whole bucket is listed again.
func (b *Bucket) list(ctx context.Context) {
	var after string
	var whole time.Time
	wait := retryFirst
	for ctx.Err() == nil {
		b.again(ctx)
		from := after
		if begin := time.Now(); begin.Sub(whole) >= b.cfg.Relist {
			from, whole = "", begin
		}
		key, done := func(string) {}, func() {}
		if from == "" && b.cfg.Listing != nil {
			key, done = b.cfg.Listing()
		}
		last, err := b.pass(ctx, from, key)
		if ctx.Err() != nil {
			return
		}
		after = max(after, last)
		if err != nil {
			b.failed("", err)
			if from == "" {
				whole = time.Time{} // is still to be done
			}
			if !pause(ctx, wait) {
				return
			}
			wait = min(2*wait, retryLast)
			continue
		}
		done()
		wait = retryFirst
		if !pause(ctx, b.cfg.Poll) {
			return
		}
	}
}

// pass lists the keys behind after, tells them, and handles what is new. It returns
// the greatest key it has seen to the end.
func (b *Bucket) pass(ctx context.Context, after string, tell func(key string)) (last string, err error) {
	in := &s3.ListObjectsV2Input{Bucket: &b.cfg.Bucket, Prefix: &b.cfg.Prefix}
	if after != "" {
		in.StartAfter = aws.String(after)
	}
	var work sync.WaitGroup
	defer work.Wait()
	slots := make(chan struct{}, b.cfg.Workers)
	pages := s3.NewListObjectsV2Paginator(b.s3, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return last, err
		}
		for _, c := range page.Contents {
			o := Object{
				Bucket: b.cfg.Bucket, Key: aws.ToString(c.Key), ETag: strings.Trim(aws.ToString(c.ETag), `"`),
				Size: aws.ToInt64(c.Size), Modified: aws.ToTime(c.LastModified),
			}
			last = max(last, o.Key)
			tell(o.Key)
			if !b.wanted(&o) {
				continue
			}
			select {
			case <-ctx.Done():
				return last, ctx.Err()
			case slots <- struct{}{}:
			}
			work.Go(func() {
				defer func() { <-slots }()
				b.listed(ctx, o)
			})
		}
	}
	return last, nil
}

// wanted reports whether a listed object is to be handled now.
func (b *Bucket) wanted(o *Object) bool {
	if o.Size == 0 || o.Modified.Before(b.cfg.Since) || b.tooLarge(o) {
		return false
	}
	b.mu.Lock()
	w := b.waiting[o.Key]
	b.mu.Unlock()
	if w != nil && w.object.ETag == o.ETag {
		return false // comes again by itself
	}
	return !b.cfg.Done(o.Key, o.ETag)
}

// listed handles one object, and remembers it when that fails.
func (b *Bucket) listed(ctx context.Context, o Object) {
	err := b.take(ctx, o)
	if ctx.Err() != nil {
		return
	}
	b.mu.Lock()
	w := b.waiting[o.Key]
	switch {
	case err == nil || gone(err):
		delete(b.waiting, o.Key)
	case w == nil && len(b.waiting) >= maxRemembered: // found again by listing
	default:
		if w == nil || w.object.ETag != o.ETag {
			w = &waitingObject{object: o, pause: b.cfg.Poll / 2}
			b.waiting[o.Key] = w
		}
		w.pause = min(2*w.pause, objectRetryLast)
		w.until = time.Now().Add(w.pause)
	}
	b.mu.Unlock()
	if err != nil {
		b.failed(o.Key, err)
	}
}

// again handles the objects that failed and have waited long enough.
func (b *Bucket) again(ctx context.Context) {
	var due []Object
	now := time.Now()
	b.mu.Lock()
	for _, w := range b.waiting {
		if !w.until.After(now) {
			due = append(due, w.object)
		}
	}
	b.mu.Unlock()
	var work sync.WaitGroup
	defer work.Wait()
	slots := make(chan struct{}, b.cfg.Workers)
	for _, o := range due {
		select {
		case <-ctx.Done():
			return
		case slots <- struct{}{}:
		}
		work.Go(func() {
			defer func() { <-slots }()
			b.listed(ctx, o)
		})
	}
}
