package input

// recordFormats are the formats whose records are resource records of zones.
func recordFormats() []Format {
	return []Format{}
}
