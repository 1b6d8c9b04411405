package input

// assetFormats are the formats whose records are entries of an attack-surface inventory.
func assetFormats() []Format {
	return []Format{}
}
