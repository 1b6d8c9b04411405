package decode

// Reasons for rejecting and skipping records that several formats use.
const (
	ReasonLineTooLong = "line too long"
	SkipBlank         = "blank line"
	SkipComment       = "comment"
	ReasonTruncated   = "truncated record"
	ReasonNoTime      = "no time stamp"
	ReasonTime        = "bad time stamp"
	ReasonAddress     = "bad address"
	ReasonBadName     = "bad name"
	ReasonType        = "bad type"
	ReasonClass       = "bad class"
	ReasonFlags       = "bad flags"
)
