package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

const (
	defaultMaxObject = 1 << 30
	defaultWorkers   = 4
	defaultListPoll  = time.Minute
	defaultRelist    = 15 * time.Minute
	defaultHidden    = 5 * time.Minute
	// objectStall is how long reading an object may get nothing.
	objectStall = time.Minute
	// objectReads is how often reading on is tried.
	objectReads = 5
	// objectRetryLast bounds the pause before a failed object is tried again.
	objectRetryLast = time.Hour
	// maxRemembered bounds the objects that wait to be tried again, and those that
	// are too large. What is not remembered is found again by listing.
	maxRemembered = 10_000
)

// BucketConfig says which objects of an S3-compatible store to read.
type BucketConfig struct {
	// Bucket is needed, except with Queue, where "" takes what is told of.
	Bucket string
	// Prefix limits the keys.
	Prefix string
	// Region is needed for AWS unless its environment says it. Endpoint is the URL of
	// another S3-compatible server; PathStyle puts the bucket into the path, as most
	// of those want it.
	Region    string
	Endpoint  string
	PathStyle bool
	// TLS, when set, is how to connect, for servers with certificates of their own.
	TLS *tls.Config
	// AccessKey and SecretKey, and SessionToken for temporary ones, are credentials.
	// Otherwise they come from CredentialsFile with Profile, or, when those are
	// empty too, from the environment, the usual files, or the machine's role.
	AccessKey, SecretKey, SessionToken string
	CredentialsFile, Profile           string
	// Queue is the URL of an SQS queue that gets the bucket's notifications,
	// directly, through SNS or through EventBridge. Without one the bucket is listed.
	Queue string
	// Hidden is how long a message stays hidden from other readers of the queue; it is
	// renewed while an object is handled. 0 means 5 minutes.
	Hidden time.Duration
	// Poll is how often the bucket is listed behind the greatest key seen, 0 means
	// every minute; Relist how often it is listed whole, for keys that sort before,
	// 0 means every 15 minutes.
	Poll, Relist time.Duration
	// Since leaves out what was last modified before, when listing.
	Since time.Time
	// Done tells whether an object was done with. Listing needs it; with a queue it
	// avoids doing twice what is told of twice.
	Done func(key, etag string) bool
	// Listing, when set, is called when the whole bucket is about to be listed. It
	// returns what is told of each key in turn, and what is called when the listing came
	// to its end without an error and its objects have been handled.
	Listing func() (key func(key string), done func())
	// MaxObject bounds an object, in bytes as stored; 0 means 1 GiB. Larger ones are
	// reported and left alone.
	MaxObject int64
	// Workers is how many objects are handled at once; 0 means 4.
	Workers int
	// Failed, when set, is told what went wrong with a key, "" for none; reading goes
	// on. It is called from several goroutines.
	Failed func(key string, err error)
}

// Object is one object of a bucket.
type Object struct {
	Bucket, Key string
	ETag        string // without quotes
	Size        int64  // bytes, as stored
	Modified    time.Time
	// Body streams the object. Interrupted transfers are taken up where they broke
	// off, as long as the object is the same.
	Body io.Reader
}

// Bucket reads the objects of a bucket, as they come.
type Bucket struct {
	cfg    BucketConfig
	handle func(ctx context.Context, o *Object) error
	s3     *s3.Client
	sqs    *sqs.Client
	http   *http.Transport

	mu      sync.Mutex
	waiting map[string]*waitingObject // by key
	refused map[string]string         // too large: key to ETag
}

// waitingObject is one that failed.
type waitingObject struct {
	object Object
	pause  time.Duration
	until  time.Time
}

// NewBucket checks the configuration. The store is asked by Run.
//
// Handle returns nil when the object is stored; Done must say so from then on. An
// object whose handling fails is reported and comes again after a pause, which
// grows up to an hour; the others go on.
func NewBucket(ctx context.Context, cfg BucketConfig, handle func(ctx context.Context, o *Object) error) (*Bucket, error) {
	if cfg.Poll <= 0 {
		cfg.Poll = defaultListPoll
	}
	if cfg.Relist <= 0 {
		cfg.Relist = defaultRelist
	}
	if cfg.Hidden <= 0 {
		cfg.Hidden = defaultHidden
	}
	if cfg.MaxObject <= 0 {
		cfg.MaxObject = defaultMaxObject
	}
	if cfg.Workers <= 0 {
		cfg.Workers = defaultWorkers
	}
	b := &Bucket{cfg: cfg, handle: handle, waiting: map[string]*waitingObject{}, refused: map[string]string{}}
	if err := b.connect(ctx); err != nil {
		return nil, fmt.Errorf("bucket %s: %w", cfg.Bucket, err)
	}
	return b, nil
}

// connect makes the clients; it asks nobody.
func (b *Bucket) connect(ctx context.Context) error {
	c := &b.cfg
	switch {
	case c.Queue == "" && c.Bucket == "":
		return errors.New("name a bucket, or a queue that tells of objects")
	case c.Queue == "" && c.Done == nil:
		return errors.New("listing needs to know which objects were done with")
	case (c.AccessKey == "") != (c.SecretKey == ""):
		return errors.New("an access key and a secret key belong together")
	}
	for what, s := range map[string]string{"endpoint": c.Endpoint, "queue": c.Queue} {
		if u, err := url.Parse(s); s != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
			return fmt.Errorf("%s %q: want a URL such as https://host", what, s)
		}
	}
	plain := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		if c.TLS != nil {
			t.TLSClientConfig = c.TLS.Clone()
		}
		t.ResponseHeaderTimeout = objectStall
	})
	opts := []func(*awsconfig.LoadOptions) error{awsconfig.WithHTTPClient(plain), awsconfig.WithRetryMaxAttempts(objectReads)}
	if region := b.region(); region != "" {
		opts = append(opts, awsconfig.WithRegion(region))
	}
	if c.CredentialsFile != "" {
		opts = append(opts, awsconfig.WithSharedCredentialsFiles([]string{c.CredentialsFile}))
	}
	if c.Profile != "" {
		opts = append(opts, awsconfig.WithSharedConfigProfile(c.Profile))
	}
	if c.AccessKey != "" {
		opts = append(opts, awsconfig.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(c.AccessKey, c.SecretKey, c.SessionToken)))
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return err
	}
	if client, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok { // with what the environment says of it
		b.http = client.GetTransport()
		cfg.HTTPClient = &http.Client{Transport: b.http}
	}
	if cfg.Region == "" {
		if c.Endpoint == "" {
			return errors.New("no region; set the one the bucket is in")
		}
		cfg.Region = "us-east-1" // what servers other than AWS take
	}
	b.s3 = s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle = c.PathStyle
		o.DisableLogOutputChecksumValidationSkipped = true
		if c.Endpoint != "" {
			o.BaseEndpoint = aws.String(c.Endpoint)
		}
	})
	if c.Queue != "" {
		u, _ := url.Parse(c.Queue) // was parsed above
		b.sqs = sqs.NewFromConfig(cfg, func(o *sqs.Options) { o.BaseEndpoint = aws.String(u.Scheme + "://" + u.Host) })
	}
	return nil
}

// region is the configured one, or the queue's: sqs.REGION.amazonaws.com.
func (b *Bucket) region() string {
	if b.cfg.Region != "" || b.cfg.Queue == "" {
		return b.cfg.Region
	}
	u, _ := url.Parse(b.cfg.Queue)
	parts := strings.Split(u.Hostname(), ".")
	if len(parts) >= 4 && parts[0] == "sqs" && parts[2] == "amazonaws" {
		return parts[1]
	}
	return ""
}

// Run reads objects until ctx is done.
func (b *Bucket) Run(ctx context.Context) error {
	if b.http != nil {
		defer b.http.CloseIdleConnections()
	}
	if b.sqs != nil {
		b.receive(ctx)
	} else {
		b.list(ctx)
	}
	return nil
}

func (b *Bucket) failed(key string, err error) {
	if b.cfg.Failed == nil {
		return
	}
	if key != "" {
		err = fmt.Errorf("object %s: %w", key, err)
	}
	b.cfg.Failed(key, fmt.Errorf("bucket %s: %w", b.cfg.Bucket, err))
}

// tooLarge reports an object beyond the limit, once.
func (b *Bucket) tooLarge(o *Object) bool {
	if o.Size <= b.cfg.MaxObject {
		return false
	}
	b.mu.Lock()
	known := b.refused[o.Key] == o.ETag
	if len(b.refused) >= maxRemembered {
		clear(b.refused)
	}
	b.refused[o.Key] = o.ETag
	b.mu.Unlock()
	if !known {
		b.failed(o.Key, fmt.Errorf("%d bytes, at most %d are read; raise the limit", o.Size, b.cfg.MaxObject))
	}
	return true
}

// take has an object handled.
func (b *Bucket) take(ctx context.Context, o Object) error {
	body := &objectBody{ctx: ctx, s3: b.s3, object: &o}
	defer body.close()
	o.Body = body
	return b.handle(ctx, &o)
}

// errReplaced is of an object whose ETag changed. The new one comes by itself.
var errReplaced = errors.New("replaced by another while it was read")

// gone reports whether an object is not there any more.
func gone(err error) bool {
	var noKey *types.NoSuchKey
	var notFound *types.NotFound
	return errors.As(err, &noKey) || errors.As(err, &notFound) || errors.Is(err, errReplaced)
}

// objectBody reads an object, in several requests when it must.
type objectBody struct {
	ctx    context.Context
	s3     *s3.Client
	object *Object

	r      io.ReadCloser // the answer's body, nil between two requests
	cancel context.CancelFunc
	offset int64
	broken int   // reads that failed one after the other
	err    error // the last word
}

// Read implements io.Reader.
func (b *objectBody) Read(p []byte) (int, error) {
	for len(p) > 0 && b.err == nil {
		if b.offset == b.object.Size {
			b.err = io.EOF
			break
		}
		n, err := b.readOnce(p[:min(int64(len(p)), b.object.Size-b.offset)])
		if n > 0 {
			b.offset += int64(n)
			b.broken = 0
			return n, nil
		}
		if err == nil {
			continue
		}
		b.close()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		b.broken++
		if changed := isStatus(err, http.StatusPreconditionFailed); changed || gone(err) || b.broken >= objectReads || b.ctx.Err() != nil {
			if changed {
				err = errReplaced
			}
			b.err = fmt.Errorf("read object %s at offset %d: %w", b.object.Key, b.offset, err)
			break
		}
		if !pause(b.ctx, time.Duration(b.broken)*retryFirst/4) {
			b.err = b.ctx.Err()
		}
	}
	return 0, b.err
}

// readOnce reads from the answer, and asks when there is none.
func (b *objectBody) readOnce(p []byte) (int, error) {
	if b.r == nil {
		if err := b.open(); err != nil {
			return 0, err
		}
	}
	stalled := time.AfterFunc(objectStall, b.cancel)
	defer stalled.Stop()
	return b.r.Read(p)
}

func (b *objectBody) open() error {
	var ctx context.Context
	ctx, b.cancel = context.WithCancel(b.ctx)
	in := &s3.GetObjectInput{Bucket: &b.object.Bucket, Key: &b.object.Key}
	if b.object.ETag != "" {
		in.IfMatch = aws.String(`"` + b.object.ETag + `"`)
	}
	if b.offset > 0 {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", b.offset))
	}
	out, err := b.s3.GetObject(ctx, in)
	if err != nil {
		return err
	}
	b.r = out.Body
	return nil
}

func (b *objectBody) close() {
	if b.cancel != nil {
		b.cancel()
	}
	if b.r != nil {
		_ = b.r.Close()
		b.r = nil
	}
}

// isStatus reports whether a request failed with an HTTP status.
func isStatus(err error, status int) bool {
	var answer interface{ HTTPStatusCode() int }
	return errors.As(err, &answer) && answer.HTTPStatusCode() == status
}
