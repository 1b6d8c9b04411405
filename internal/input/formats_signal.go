package input

// signalFormats are the formats whose records are suspicions of other sensors.
func signalFormats() []Format {
	return []Format{}
}
