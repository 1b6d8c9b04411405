package picket

import "errors"

// Sentinels on which callers branch. Everything else is an error with words.
var (
	// ErrBadValue is wrapped by errors about values outside their vocabulary.
	ErrBadValue = errors.New("value not in the vocabulary")
	// ErrNotFound is wrapped when a named thing does not exist.
	ErrNotFound = errors.New("not found")
	// ErrSchemaTooNew is wrapped when a store was written by a newer Picket.
	ErrSchemaTooNew = errors.New("written by a newer version")
)
