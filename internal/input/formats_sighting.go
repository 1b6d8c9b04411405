package input

// sightingFormats are the formats whose records are what passive DNS and certificate logs have seen.
func sightingFormats() []Format {
	return []Format{}
}
