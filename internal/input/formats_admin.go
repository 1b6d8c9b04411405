package input

// adminFormats are the formats whose records are acts of administration.
func adminFormats() []Format {
	return []Format{}
}
