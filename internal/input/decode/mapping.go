package decode

// Mapping says which fields of a generic JSON or CSV input mean what.
type Mapping struct {
	// Fields names, for each field of the telemetry kind (time, actor, action, zone,
	// source …), the column or the dotted path it is read from.
	Fields map[string]string `yaml:"fields" json:"fields"`
	// Constants are values for fields that the input does not carry.
	Constants map[string]string `yaml:"constants" json:"constants"`
	// Time is how times are written: rfc3339, unix, unix-ms, unix-us, unix-ns, or a
	// layout as in Go's time package; "" tries rfc3339 and unix.
	Time string `yaml:"time" json:"time"`
	// Delimiter parts the columns of CSV; "" is a comma.
	Delimiter string `yaml:"delimiter" json:"delimiter"`
}
